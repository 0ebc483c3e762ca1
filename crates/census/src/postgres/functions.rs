//! Functions that clients of `PostgreSQL` call when they look around, beside those of the
//! engine's catalog.
//!
//! **Invariant:** each says the same whatever it is asked, and it is true of these tables.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;

/// What `version()` says: clients look for the number of a server that they know.
const VERSION: &str =
    concat!("PostgreSQL 16.6 (Tidegauge ", env!("CARGO_PKG_VERSION"), ")");

/// Functions that say a text, or null.
const TEXTS: [(&str, Option<&str>); 12] = [
    ("version", Some(VERSION)),
    // Of the numbers that columns count up by: there are none.
    ("json_build_object", None),
    ("pg_get_serial_sequence", None),
    // Of types, constraints and indexes that were added to a server: there are none.
    ("to_regtype", None),
    ("pg_get_constraintdef", None),
    ("pg_get_indexdef", None),
    // A view has no text that a server could run.
    ("pg_get_viewdef", None),
    // Comments are in `pg_description`, by number; these look elsewhere.
    ("shobj_description", None),
    ("obj_description", None),
    ("col_description", None),
    // Sizes are not told.
    ("pg_size_pretty", None),
    ("pg_tablespace_location", None),
];

/// Functions that say yes: there is one place to look for names, and all of it is seen.
const TRUE: [&str; 4] = [
    "pg_collation_is_visible",
    "pg_function_is_visible",
    "pg_opclass_is_visible",
    "pg_type_is_visible",
];

/// Functions that make much of little. What they make while a query is planned is counted by
/// no pool, and one short query could take all memory.
const GREEDY: [&str; 4] = ["repeat", "lpad", "rpad", "array_repeat"];

/// Adds these functions to a session, and takes the greedy ones away.
pub(super) fn fit(context: &SessionContext) {
    let text = |(name, says): (_, Option<&str>)| {
        Told::new(name, ScalarValue::Utf8(says.map(str::to_owned)))
    };
    let yes = |name| Told::new(name, ScalarValue::Boolean(Some(true)));
    for name in GREEDY {
        context.deregister_udf(name);
    }
    for function in TEXTS.into_iter().map(text).chain(TRUE.into_iter().map(yes)) {
        context.register_udf(ScalarUDF::new_from_impl(function));
    }
}

/// A function that always says the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Told {
    name: &'static str,
    says: ScalarValue,
    signature: Signature,
}

impl Told {
    fn new(name: &'static str, says: ScalarValue) -> Self {
        let takes = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        Self { name, says, signature: Signature::one_of(takes, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.says.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.says.clone()))
    }
}
