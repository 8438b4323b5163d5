# shop/migrations/0002_audit.py
from django.db import migrations


def track(table, options=""):
    return migrations.RunSQL(
        f"SELECT audit.enable_tracking('{table}'{options})",
        f"SELECT audit.disable_tracking('{table}', 'migrated back')",
    )


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        track("shop_author", ", exclude => '{secret}'"),
        track("shop_book"),
        track("shop_book_tags"),  # the table of a ManyToManyField
        track("shop_review"),
        track("shop_tag"),
    ]
