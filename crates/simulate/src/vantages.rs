//! The descriptions of the vantages, as text that an analyst would write.

use crate::zeek;

/// File stem and text of each.
pub(crate) const FILES: [(&str, &str); 3] = [
    (
        "exchange",
        r#"# A synthetic internet exchange. Packets are sampled; the rate stands in each record.
site = "exchange"
position = "outside"
time_zone = "UTC"

[holder]
id = "syn:exchange"
name = "Synthetic Exchange"
country = "NL"
sector = "telecommunications"
"#,
    ),
    (
        "carrier",
        r#"# A synthetic carrier. It sees each flow that takes its route, both ways.
site = "carrier"
position = "outside"
time_zone = "UTC"

[holder]
id = "syn:carrier"
name = "Synthetic Carrier"
country = "SE"
sector = "telecommunications"
"#,
    ),
    (
        zeek::ID,
        r#"# A synthetic office: clients are seen with their private addresses.
site = "office"
position = "inside"
private = ["10.20.0.0/16"]
time_zone = "UTC"

[holder]
id = "syn:office"
name = "Synthetic Office Works"
country = "NL"
sector = "manufacturing"
"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_read_by_the_model() {
        for (id, text) in FILES {
            let vantage = tidegauge_model::Vantage::read(id.into(), text).unwrap();
            assert_eq!(vantage.site.as_str(), id);
        }
    }
}
