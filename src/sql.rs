//! The SQL surface: every file of `sql/install`, in the order in which the extension script runs them.
//!
//! Each block requires the one before it, so the generated script keeps this order.

use pgrx::prelude::*;

extension_sql_file!("../sql/install/00_schema.sql", name = "install_00_schema", bootstrap);
extension_sql_file!(
    "../sql/install/10_types.sql",
    name = "install_10_types",
    requires = ["install_00_schema"]
);
extension_sql_file!(
    "../sql/install/20_audit_log.sql",
    name = "install_20_audit_log",
    requires = ["install_10_types"]
);
extension_sql_file!(
    "../sql/install/21_guard_events.sql",
    name = "install_21_guard_events",
    requires = ["install_20_audit_log"]
);
extension_sql_file!(
    "../sql/install/22_guard_tables.sql",
    name = "install_22_guard_tables",
    requires = ["install_21_guard_events"]
);
extension_sql_file!(
    "../sql/install/23_denied_attempts.sql",
    name = "install_23_denied_attempts",
    requires = ["install_22_guard_tables"]
);
extension_sql_file!(
    "../sql/install/24_policies.sql",
    name = "install_24_policies",
    requires = ["install_23_denied_attempts"]
);
extension_sql_file!(
    "../sql/install/25_protection_rules.sql",
    name = "install_25_protection_rules",
    requires = ["install_24_policies"]
);
extension_sql_file!(
    "../sql/install/30_guard.sql",
    name = "install_30_guard",
    requires = ["install_25_protection_rules"]
);
extension_sql_file!(
    "../sql/install/31_protect.sql",
    name = "install_31_protect",
    requires = ["install_30_guard"]
);
extension_sql_file!(
    "../sql/install/32_holds.sql",
    name = "install_32_holds",
    requires = ["install_31_protect"]
);
extension_sql_file!(
    "../sql/install/33_retention.sql",
    name = "install_33_retention",
    requires = ["install_32_holds"]
);
extension_sql_file!(
    "../sql/install/34_apply_retention.sql",
    name = "install_34_apply_retention",
    requires = ["install_33_retention"]
);
extension_sql_file!(
    "../sql/install/35_retention_plan.sql",
    name = "install_35_retention_plan",
    requires = ["install_34_apply_retention"]
);
extension_sql_file!(
    "../sql/install/40_partitions.sql",
    name = "install_40_partitions",
    requires = ["install_35_retention_plan"]
);
extension_sql_file!(
    "../sql/install/41_index_log.sql",
    name = "install_41_index_log",
    requires = ["install_40_partitions"]
);
extension_sql_file!(
    "../sql/install/45_tracking_rules.sql",
    name = "install_45_tracking_rules",
    requires = ["install_41_index_log"]
);
extension_sql_file!(
    "../sql/install/50_tracking.sql",
    name = "install_50_tracking",
    requires = ["install_45_tracking_rules"]
);
extension_sql_file!(
    "../sql/install/51_context.sql",
    name = "install_51_context",
    requires = ["install_50_tracking"]
);
extension_sql_file!(
    "../sql/install/52_tracked_tables.sql",
    name = "install_52_tracked_tables",
    requires = ["install_51_context"]
);
extension_sql_file!(
    "../sql/install/53_schemas.sql",
    name = "install_53_schemas",
    requires = ["install_52_tracked_tables"]
);
extension_sql_file!("../sql/install/54_ddl.sql", name = "install_54_ddl", requires = ["install_53_schemas"]);
extension_sql_file!(
    "../sql/install/55_ddl_trigger.sql",
    name = "install_55_ddl_trigger",
    requires = ["install_54_ddl"]
);
extension_sql_file!(
    "../sql/install/56_restore.sql",
    name = "install_56_restore",
    requires = ["install_55_ddl_trigger"]
);
extension_sql_file!(
    "../sql/install/57_repair.sql",
    name = "install_57_repair",
    requires = ["install_56_restore"]
);
extension_sql_file!(
    "../sql/install/58_drops.sql",
    name = "install_58_drops",
    requires = ["install_57_repair"]
);
extension_sql_file!(
    "../sql/install/59_shield.sql",
    name = "install_59_shield",
    requires = ["install_58_drops"]
);
extension_sql_file!(
    "../sql/install/60_history.sql",
    name = "install_60_history",
    requires = ["install_59_shield"]
);
extension_sql_file!(
    "../sql/install/61_health.sql",
    name = "install_61_health",
    requires = ["install_60_history"]
);
extension_sql_file!(
    "../sql/install/62_as_of.sql",
    name = "install_62_as_of",
    requires = ["install_61_health"]
);
extension_sql_file!(
    "../sql/install/63_table_as_of.sql",
    name = "install_63_table_as_of",
    requires = ["install_62_as_of"]
);
extension_sql_file!(
    "../sql/install/64_undo.sql",
    name = "install_64_undo",
    requires = ["install_63_table_as_of"]
);
extension_sql_file!(
    "../sql/install/65_guard_status.sql",
    name = "install_65_guard_status",
    requires = ["install_64_undo"]
);
extension_sql_file!(
    "../sql/install/66_maintenance.sql",
    name = "install_66_maintenance",
    requires = ["install_65_guard_status"]
);
extension_sql_file!(
    "../sql/install/67_ledger_tables.sql",
    name = "install_67_ledger_tables",
    requires = ["install_66_maintenance"]
);
extension_sql_file!(
    "../sql/install/68_ledger_streams.sql",
    name = "install_68_ledger_streams",
    requires = ["install_67_ledger_tables"]
);
extension_sql_file!(
    "../sql/install/68_sealing.sql",
    name = "install_68_sealing",
    requires = ["install_68_ledger_streams"]
);
extension_sql_file!(
    "../sql/install/69_incarnations.sql",
    name = "install_69_incarnations",
    requires = ["install_68_sealing"]
);
extension_sql_file!(
    "../sql/install/69_ledger_native.sql",
    name = "install_69_ledger_native",
    requires = ["install_69_incarnations"]
);
extension_sql_file!(
    "../sql/install/70_import.sql",
    name = "install_70_import",
    requires = ["install_69_ledger_native"]
);
extension_sql_file!(
    "../sql/install/71_import_formats.sql",
    name = "install_71_import_formats",
    requires = ["install_70_import"]
);
extension_sql_file!(
    "../sql/install/72_checkpoints.sql",
    name = "install_72_checkpoints",
    requires = ["install_71_import_formats"]
);
extension_sql_file!(
    "../sql/install/73_ledger_checks.sql",
    name = "install_73_ledger_checks",
    requires = ["install_72_checkpoints"]
);
extension_sql_file!(
    "../sql/install/73_verify.sql",
    name = "install_73_verify",
    requires = ["install_73_ledger_checks"]
);
extension_sql_file!(
    "../sql/install/74_redact.sql",
    name = "install_74_redact",
    requires = ["install_73_verify"]
);
extension_sql_file!(
    "../sql/install/75_receipts.sql",
    name = "install_75_receipts",
    requires = ["install_74_redact"]
);
extension_sql_file!(
    "../sql/install/76_people.sql",
    name = "install_76_people",
    requires = ["install_75_receipts"]
);
extension_sql_file!(
    "../sql/install/76_security_native.sql",
    name = "install_76_security_native",
    requires = ["install_76_people"]
);
extension_sql_file!(
    "../sql/install/77_security_events.sql",
    name = "install_77_security_events",
    requires = ["install_76_security_native"]
);
extension_sql_file!(
    "../sql/install/77_security_log.sql",
    name = "install_77_security_log",
    requires = ["install_77_security_events"]
);
extension_sql_file!(
    "../sql/install/77_user_sessions.sql",
    name = "install_77_user_sessions",
    requires = ["install_77_security_log"]
);
extension_sql_file!(
    "../sql/install/78_login_tables.sql",
    name = "install_78_login_tables",
    requires = ["install_77_user_sessions"]
);
extension_sql_file!(
    "../sql/install/78_session_limits.sql",
    name = "install_78_session_limits",
    requires = ["install_78_login_tables"]
);
extension_sql_file!(
    "../sql/install/78_session_upkeep.sql",
    name = "install_78_session_upkeep",
    requires = ["install_78_session_limits"]
);
extension_sql_file!(
    "../sql/install/78_session_validate.sql",
    name = "install_78_session_validate",
    requires = ["install_78_session_upkeep"]
);
extension_sql_file!(
    "../sql/install/78_session_views.sql",
    name = "install_78_session_views",
    requires = ["install_78_session_validate"]
);
extension_sql_file!(
    "../sql/install/78_sessions.sql",
    name = "install_78_sessions",
    requires = ["install_78_session_views"]
);
extension_sql_file!(
    "../sql/install/79_login_admin.sql",
    name = "install_79_login_admin",
    requires = ["install_78_sessions"]
);
extension_sql_file!(
    "../sql/install/79_login_attempts.sql",
    name = "install_79_login_attempts",
    requires = ["install_79_login_admin"]
);
extension_sql_file!(
    "../sql/install/79_login_check.sql",
    name = "install_79_login_check",
    requires = ["install_79_login_attempts"]
);
extension_sql_file!(
    "../sql/install/79_login_counting.sql",
    name = "install_79_login_counting",
    requires = ["install_79_login_check"]
);
extension_sql_file!(
    "../sql/install/79_login_rebuild.sql",
    name = "install_79_login_rebuild",
    requires = ["install_79_login_counting"]
);
extension_sql_file!(
    "../sql/install/79_login_sweep.sql",
    name = "install_79_login_sweep",
    requires = ["install_79_login_rebuild"]
);
extension_sql_file!(
    "../sql/install/80_compat.sql",
    name = "install_80_compat",
    requires = ["install_79_login_sweep"]
);
extension_sql_file!(
    "../sql/install/81_compat_security.sql",
    name = "install_81_compat_security",
    requires = ["install_80_compat"]
);
extension_sql_file!(
    "../sql/install/82_import_security.sql",
    name = "install_82_import_security",
    requires = ["install_81_compat_security"]
);
extension_sql_file!(
    "../sql/install/90_privileges.sql",
    name = "install_90_privileges",
    requires = ["install_82_import_security"]
);
extension_sql_file!(
    "../sql/install/95_api.sql",
    name = "install_95_api",
    requires = ["install_90_privileges"]
);
extension_sql_file!(
    "../sql/install/99_notices.sql",
    name = "install_99_notices",
    requires = ["install_95_api"]
);
