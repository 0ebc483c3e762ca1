//! What clients write and the engine does not know, written as it knows it; and how much of it
//! is read.
//!
//! **Invariant:** what is rewritten means the same. It is rewritten as it was parsed: text that
//! is printed and parsed again may read otherwise.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Statement, Value, ValueWithSpan, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::refusal::{COMPLEX, refusal};

/// The escape that the engine's patterns have.
const ESCAPE: char = '\\';
/// What stands for the pattern in a template.
const PATTERN: &str = "pattern";
/// Bytes of a message: far above any query that a person or a program writes.
const BYTES_MAX: usize = 256 << 10;
/// Tokens of a message. The engine walks down a chain of operators by calling itself, so that
/// a longer one would leave the stack of a thread, which the binary makes large enough for this.
const TOKENS_MAX: usize = 2_000;

/// Refuses text that is too long to be parsed and planned.
pub(super) fn bounded(sql: &str) -> PgWireResult<()> {
    let too_long = || {
        let said =
            format!("a message has {TOKENS_MAX} tokens and {BYTES_MAX} bytes at most");
        refusal(COMPLEX, &said, "ask in several queries")
    };
    if sql.len() > BYTES_MAX {
        return Err(too_long());
    }
    let dialect = PostgreSqlDialect {};
    // What is no sequence of tokens, the parser tells better.
    let tokens = Tokenizer::new(&dialect, sql).tokenize().unwrap_or_default();
    let counted = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_)));
    if counted.count() > TOKENS_MAX { Err(too_long()) } else { Ok(()) }
}

/// The statement as the engine reads it: patterns with an escape of their own, which
/// `SQLAlchemy` writes when it lists schemas, get that of the engine. An escape that escapes
/// itself is not understood.
pub(super) fn known(mut statement: Statement) -> Statement {
    let _done: ControlFlow<()> = visit_expressions_mut(&mut statement, |expression| {
        if let Expr::Like { pattern, escape_char, .. }
        | Expr::ILike { pattern, escape_char, .. } = expression
            && let Some(own) = escape_char.as_ref().and_then(own_escape)
            && let Some(escaped) = with_escape(pattern, own)
        {
            **pattern = escaped;
            *escape_char = None;
        }
        ControlFlow::Continue(())
    });
    statement
}

/// The character of an escape that is not the engine's.
fn own_escape(escape: &ValueWithSpan) -> Option<char> {
    let Value::SingleQuotedString(text) = &escape.value else { return None };
    let mut chars = text.chars();
    let first = chars.next().filter(|c| *c != ESCAPE && *c != '\'')?;
    chars.next().is_none().then_some(first)
}

/// The pattern with the engine's escape in place of `own`.
fn with_escape(pattern: &Expr, own: char) -> Option<Expr> {
    let template = format!(
        "replace(replace({PATTERN}, '{ESCAPE}', '{ESCAPE}{ESCAPE}'), '{own}', '{ESCAPE}')"
    );
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(&template).ok()?;
    let mut escaped = parser.parse_expr().ok()?;
    let place = Expr::Identifier(Ident::new(PATTERN));
    let _done: ControlFlow<()> = visit_expressions_mut(&mut escaped, |expression| {
        if *expression == place {
            *expression = Expr::Nested(Box::new(pattern.clone()));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> String {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        known(parsed[0].clone()).to_string()
    }

    #[test]
    fn a_pattern_gets_the_escape_of_the_engine() {
        let sql =
            "SELECT nspname FROM n WHERE nspname NOT LIKE 'pg/_' || '%' ESCAPE '/'";
        assert_eq!(
            read(sql),
            "SELECT nspname FROM n WHERE nspname NOT LIKE \
             replace(replace(('pg/_' || '%'), '\\', '\\\\'), '/', '\\')"
        );
        for same in [
            "SELECT a FROM t WHERE a LIKE 'b'",
            "SELECT a FROM t WHERE a LIKE 'b' ESCAPE '\\'",
        ] {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn text_without_end_is_not_parsed() {
        assert!(bounded(&format!("SELECT 1{}", "+1".repeat(900))).is_ok());
        assert!(bounded(&format!("SELECT 1{}", "+1".repeat(1_100))).is_err());
        assert!(bounded(&format!("SELECT '{}'", "x".repeat(BYTES_MAX))).is_err());
        assert!(bounded("SELECT 'unfinished").is_ok(), "the parser says what is wrong");
    }
}
