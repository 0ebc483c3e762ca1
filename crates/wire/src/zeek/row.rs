//! One row of a log: the columns that are read here.
//!
//! **Invariant:** a column that the log does not have is absent, not unset.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::cell::{Cell, View};

/// A row, however it is written.
pub(super) trait Values {
    /// The value of a column.
    fn value(&self, column: Column) -> View<'_>;
}

macro_rules! columns {
    ($($field:ident = $name:literal $(| $other:literal)*;)*) => {
        /// A column that is read here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(non_camel_case_types, reason = "named as the fields of a row")]
        pub(super) enum Column {
            $($field,)*
        }

        impl Column {
            /// How many there are.
            pub(super) const COUNT: usize = [$($name),*].len();

            /// Which of them it is.
            #[inline]
            pub(super) fn index(self) -> usize {
                let mut at = 0;
                $(
                    if self == Self::$field {
                        return at;
                    }
                    at += 1;
                )*
                at
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $other)* => Some(Self::$field),)*
                    _ => None,
                }
            }
        }

        /// The values of one JSON object.
        #[derive(Debug, Default)]
        pub(super) struct Row<'a> {
            $($field: Cell<'a>,)*
        }

        impl<'a> Row<'a> {
            fn set(&mut self, column: Column, cell: Cell<'a>) {
                match column {
                    $(Column::$field => self.$field = cell,)*
                }
            }
        }

        impl Values for Row<'_> {
            fn value(&self, column: Column) -> View<'_> {
                match column {
                    $(Column::$field => self.$field.view(),)*
                }
            }
        }
    };
}

columns! {
    path = "_path";
    ts = "ts";
    uid = "uid";
    orig_h = "id.orig_h" | "id_orig_h";
    orig_p = "id.orig_p" | "id_orig_p";
    resp_h = "id.resp_h" | "id_resp_h";
    resp_p = "id.resp_p" | "id_resp_p";
    proto = "proto";
    ip_proto = "ip_proto";
    duration = "duration";
    orig_bytes = "orig_bytes";
    resp_bytes = "resp_bytes";
    history = "history";
    orig_pkts = "orig_pkts";
    orig_ip_bytes = "orig_ip_bytes";
    resp_pkts = "resp_pkts";
    resp_ip_bytes = "resp_ip_bytes";
    version = "version";
    server_name = "server_name";
    method = "method";
    host = "host";
    uri = "uri";
    query = "query";
    rtt = "rtt";
    answers = "answers";
    ttls = "TTLs";
}

impl<'de> Deserialize<'de> for Row<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Row<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the columns of a log as keys")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Row<'de>, M::Error> {
                let mut row = Row::default();
                while let Some(key) = map.next_key::<Key>()? {
                    match key.0 {
                        Some(column) => row.set(column, map.next_value()?),
                        None => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(row)
            }
        }
        from.deserialize_map(Rows)
    }
}

/// A key of a JSON object, as the column it names.
struct Key(Option<Column>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;
        impl Visitor<'_> for Keys {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(Column::named(name)))
            }
        }
        from.deserialize_identifier(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_object_is_a_row() {
        let line = r#"{"ts":1.5,"uid":"C\u0031","id.orig_h":"192.0.2.1","id.orig_p":80,
            "answers":["a",null,2],"local":{"x":[1]},"proto":null,"query":false}"#;
        let row: Row<'_> = serde_json::from_str(line).unwrap();
        assert_eq!(row.value(Column::ts), View::Number(1.5));
        assert_eq!(row.value(Column::uid).needed_text(), Ok("C1"));
        assert_eq!(row.value(Column::orig_p).port(), Ok(80));
        assert_eq!(row.value(Column::answers).list().unwrap().count(), 3);
        assert_eq!(
            (row.value(Column::proto), row.value(Column::query)),
            (View::Unset, View::Other)
        );
        assert_eq!(row.value(Column::resp_h), View::Absent);
    }
}
