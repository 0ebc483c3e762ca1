//! Errors as clients of `PostgreSQL` show them: a code, a message, a hint.
//!
//! **Invariant:** a code is one of SQLSTATE (appendix A of the manual of `PostgreSQL`), since
//! clients decide by it what to do next.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

/// A statement would change something.
pub(super) const READ_ONLY: &str = "25006";
/// A connection is not let in.
pub(super) const NOT_LET_IN: &str = "28000";
/// A statement cannot be understood, or names what there is not.
pub(super) const WRONG: &str = "42601";
/// This server has no such thing.
pub(super) const NOT_THERE: &str = "0A000";
/// A statement is too complex.
pub(super) const COMPLEX: &str = "54001";
/// A statement was stopped.
pub(super) const STOPPED: &str = "57014";

/// Ends a statement; an empty hint is none.
pub(super) fn refusal(code: &str, message: &str, hint: &str) -> PgWireError {
    error("ERROR", code, message, hint)
}

/// Ends a connection.
pub(super) fn dismissal(code: &str, message: &str, hint: &str) -> PgWireError {
    error("FATAL", code, message, hint)
}

fn error(severity: &str, code: &str, message: &str, hint: &str) -> PgWireError {
    let [severity, code, message] = [severity, code, message].map(str::to_owned);
    let mut info = ErrorInfo::new(severity, code, message);
    info.hint = (!hint.is_empty()).then(|| hint.to_owned());
    PgWireError::UserError(Box::new(info))
}
