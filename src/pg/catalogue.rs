//! Who writes system catalogues by statements: scripts of extensions do.

use super::session;
use pgrx::prelude::*;

/// Catalogues that scripts of common extensions correct: what their own functions, types and operators are. None of
/// them says which triggers fire, or whose table is whose. Their OIDs never change.
const CORRECTED: [u32; 11] = [
    1247, // pg_type
    1255, // pg_proc
    2600, // pg_aggregate
    2602, // pg_amop
    2603, // pg_amproc
    2605, // pg_cast
    2608, // pg_depend
    2616, // pg_opclass
    2617, // pg_operator
    2753, // pg_opfamily
    3079, // pg_extension
];

/// Whether a script of an extension that came with the server's files is running, and may correct this catalogue.
/// From PostgreSQL 18 a superuser can name other folders for such files; then it may not.
pub(crate) fn may_write(catalogue: pg_sys::Oid) -> bool {
    // SAFETY: reads a variable of the server.
    let in_script = unsafe { pg_sys::creating_extension };
    let from_server = session::setting(c"extension_control_path").is_none_or(|path| path == c"$system");
    in_script && from_server && CORRECTED.contains(&catalogue.to_u32())
}
