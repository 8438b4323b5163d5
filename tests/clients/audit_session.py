# audit_session.py
import json

from sqlalchemy import event, text
from sqlalchemy.orm import Session

DECLARE = text("SELECT audit.set_context(actor_id => :actor, context => CAST(:context AS jsonb))")


@event.listens_for(Session, "after_begin")
def declare(session, transaction, connection):
    """Each transaction of Session(engine, info={"actor": ...}) says who acts."""
    if "actor" in session.info:
        connection.execute(
            DECLARE,
            {
                "actor": str(session.info["actor"]),
                "context": json.dumps({"app": session.info.get("facts", {})}),
            },
        )
