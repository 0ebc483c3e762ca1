//! Which numbers a page or a figure shows: a product, a population, months; and the
//! address that says so.
//!
//! **Invariant:** windows are cut to equal length before they are compared. Months lie
//! within those that were covered, so that nobody can ask for a drawing without end.

use tidegauge_model::count::{Dating, Dimension, Query};
use tidegauge_model::{Country, DayRange, Month, ProductId, SectorId};

use super::answer::Problem;
use super::asked::Asked;
use super::{Comparison, Scope};
use crate::country;
use crate::number::{days, month_year};
use crate::report::is_whole;

/// How many countries or products one figure compares.
pub(super) const COMPARED_MAX: usize = 12;

/// A product, a population, months.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) product: Option<ProductId>,
    pub(super) country: Option<Country>,
    pub(super) sector: Option<SectorId>,
    pub(super) from: Month,
    pub(super) to: Month,
    pub(super) before: Month,
    pub(super) after: Month,
    /// From the first day covered to the last: windows lie within.
    pub(super) covered: DayRange,
    /// What is compared with each other, in the figure that compares.
    pub(super) what: What,
    /// Which of them; empty for the largest.
    pub(super) of: Vec<String>,
}

/// What the figure that compares has a panel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Countries,
    Products,
}

impl What {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Countries => "countries",
            Self::Products => "products",
        }
    }

    /// What counts of them are split by.
    pub(super) fn dimension(self) -> Dimension {
        match self {
            Self::Countries => Dimension::Country,
            Self::Products => Dimension::Product,
        }
    }
}

impl Selection {
    /// What is shown unless the reader asks for something else.
    pub(super) fn default_of(scope: &Scope, days: DayRange) -> Self {
        let (from, to) = (days.first().month(), days.last().month());
        let compared = scope.compared.or_else(|| whole(days));
        let (before, after) = compared.unwrap_or((from, to));
        Self {
            product: scope.products.first().map(|p| p.0.clone()),
            country: None,
            sector: None,
            from,
            to,
            before,
            after,
            covered: days,
            what: What::Countries,
            of: Vec::new(),
        }
    }

    /// What was asked, with the rest from what is known.
    pub(super) fn read(
        asked: &Asked,
        scope: &Scope,
        days: DayRange,
    ) -> Result<Self, Problem> {
        let known = Self::default_of(scope, days);
        let from = asked.one("from")?.unwrap_or(known.from);
        let to = asked.one("to")?.unwrap_or(known.to);
        let within = |month: Month| from <= month && month <= to;
        let (before, after) = if within(known.before) && within(known.after) {
            (known.before, known.after)
        } else {
            (from, to)
        };
        let product = asked.one::<String>("product")?.map(ProductId::new);
        let seen = |p: &ProductId| scope.products.iter().any(|known| known.0 == *p);
        if !product.as_ref().is_none_or(seen) {
            let hint = "choose among those listed at /products";
            return Err(Problem::asked("this product was not seen", hint));
        }
        let selection = Self {
            product: product.or_else(|| known.product.clone()),
            country: asked.one("country")?,
            sector: asked.one::<String>("sector")?.map(SectorId::new),
            from,
            to,
            before: asked.one("before")?.unwrap_or(before),
            after: asked.one("after")?.unwrap_or(after),
            covered: days,
            what: match asked.text("what") {
                None | Some("countries") => What::Countries,
                Some("products") => What::Products,
                Some(other) => {
                    let what = format!("`what={other}` cannot be compared");
                    return Err(Problem::asked(what, "countries or products"));
                }
            },
            of: distinct(asked.names("of")?),
        };
        selection.checked(&known)
    }

    fn checked(self, known: &Self) -> Result<Self, Problem> {
        if self.from > self.to {
            return Err(Problem::asked(
                format!("{} is after {}", month_year(self.from), month_year(self.to)),
                "exchange the first and the last month",
            ));
        }
        for month in [self.from, self.to, self.before, self.after] {
            if month < known.from || known.to < month {
                return Err(Problem::asked(
                    format!("{} was not covered", month_year(month)),
                    format!("choose months from {} to {}", known.from, known.to),
                ));
            }
        }
        // One month of data has nothing to compare with: the figures say so.
        if self.before >= self.after && known.from != known.to {
            return Err(Problem::asked(
                "the window before does not end before the window after",
                "choose an earlier month before, or a later one after",
            ));
        }
        if self.of.len() > COMPARED_MAX {
            return Err(Problem::asked(
                format!("`of` has {} values", self.of.len()),
                format!("give at most {COMPARED_MAX}"),
            ));
        }
        Ok(self)
    }

    /// All of what is compared.
    pub(super) fn of_all(&self) -> Self {
        let mut all = self.clone();
        match self.what {
            What::Countries => all.country = None,
            What::Products => all.product = None,
        }
        all
    }

    /// What was covered of both months, cut to the same number of days from the first.
    pub(super) fn windows(&self) -> (DayRange, DayRange) {
        let covered = |month| {
            let (all, covered) = (DayRange::month(month), self.covered);
            let first = all.first().max(covered.first());
            DayRange::new(first, all.last().min(covered.last())).unwrap_or(all)
        };
        let (before, after) = (covered(self.before), covered(self.after));
        let length = before.length_days().min(after.length_days());
        let cut = |w: DayRange| {
            let extra = i32::try_from(w.length_days() - length).unwrap_or(0);
            DayRange::new(w.first(), w.last().plus(-extra)).unwrap_or(w)
        };
        (cut(before), cut(after))
    }

    /// Whether a window is shorter than its month.
    pub(super) fn is_cut(&self) -> bool {
        let months = [self.before, self.after].map(DayRange::month);
        let (before, _) = self.windows();
        months.iter().any(|m| m.length_days() != before.length_days())
    }

    /// The months drawn.
    pub(super) fn period(&self) -> DayRange {
        DayRange::new(self.from.first(), self.to.last())
            .unwrap_or(DayRange::month(self.from))
    }

    /// A census of the population, one map of holders for all of it.
    pub(super) fn query(&self, days: DayRange, by: Dimension) -> Query {
        let (before, _) = self.windows();
        Query {
            products: self.product.iter().cloned().collect(),
            by: vec![by],
            on: Dating::Frozen(before.first()),
            countries: self.country.into_iter().collect(),
            sectors: self.sector.iter().cloned().collect(),
            ..Query::new(days)
        }
    }

    /// The two windows of the population; `None` if they are one.
    pub(super) fn comparison(&self) -> Option<Comparison> {
        let (before, after) = self.windows();
        let mut asked = Comparison::new(before, after)?;
        asked.products = self.product.iter().cloned().collect();
        asked.countries = self.country.into_iter().collect();
        asked.sectors = self.sector.iter().cloned().collect();
        // Of one country only its sectors differ.
        asked.by = Some(match self.country {
            Some(_) => Dimension::Sector,
            None => Dimension::Country,
        });
        Some(asked)
    }

    /// The query of an address, with every value that decides a number.
    pub(super) fn query_string(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(self.product.iter().map(|p| ("product", p.to_string())));
        pairs.extend(self.country.iter().map(|c| ("country", c.to_string())));
        pairs.extend(self.sector.iter().map(|s| ("sector", s.to_string())));
        for (key, month) in [
            ("from", self.from),
            ("to", self.to),
            ("before", self.before),
            ("after", self.after),
        ] {
            pairs.push((key, month.to_string()));
        }
        joined(&pairs)
    }

    /// The same with what is compared.
    pub(super) fn compare_string(&self) -> String {
        let mut query = self.query_string();
        query.push_str("&what=");
        query.push_str(self.what.as_str());
        if !self.of.is_empty() {
            query.push_str("&of=");
            let of: Vec<String> = self.of.iter().map(|name| encoded(name)).collect();
            query.push_str(&of.join(","));
        }
        query
    }

    /// Whose organisations are counted: `the United States`, `all countries`.
    pub(super) fn place(&self, scope: &Scope) -> String {
        let place = match self.country {
            Some(country) => country::in_sentence(country.as_str()),
            None => "all countries".to_owned(),
        };
        match &self.sector {
            Some(sector) => {
                let name = scope.sector_name(sector);
                format!("{place}, sector {name}")
            }
            None => place,
        }
    }

    /// The name of the product for readers.
    pub(super) fn product_name(&self, scope: &Scope) -> String {
        self.product.as_ref().map_or_else(
            || "all products".to_owned(),
            |product| scope.product_name(product),
        )
    }

    /// All of it in words, for a citation.
    pub(super) fn in_words(&self, scope: &Scope) -> String {
        let (before, after) = self.windows();
        format!(
            "{}, {}, {} to {}, {} against {}",
            self.product_name(scope),
            self.place(scope),
            month_year(self.from),
            month_year(self.to),
            days(before),
            days(after)
        )
    }
}

/// Each once, in their order.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// The first and the last month that were covered whole, if there are two.
fn whole(days: DayRange) -> Option<(Month, Month)> {
    let whole = |m: &Month| is_whole(DayRange::month(*m), days);
    let months: Vec<Month> = days.months().filter(whole).collect();
    let (first, last) = (*months.first()?, *months.last()?);
    (first < last).then_some((first, last))
}

/// `key=value&key=value`, each value safe in an address.
pub(super) fn joined(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    pairs.join("&")
}

/// Text as it stands in an address (RFC 3986, unreserved characters stay).
pub(super) fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            safe.push(char::from(byte));
        } else {
            crate::figure::append(&mut safe, format_args!("%{byte:02X}"));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(first: &str, last: &str) -> DayRange {
        DayRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    fn usual(covered: DayRange) -> Selection {
        let scope = Scope {
            products: Vec::new(),
            countries: Vec::new(),
            sectors: Vec::new(),
            days: Some(covered),
            compared: None,
            acts: Vec::new(),
        };
        Selection::default_of(&scope, covered)
    }

    #[test]
    fn windows_have_covered_days_only_and_are_equally_long() {
        let whole = usual(days("2024-03-10", "2024-12-05"));
        let months =
            (days("2024-04-01", "2024-04-30"), days("2024-11-01", "2024-11-30"));
        assert_eq!(whole.windows(), months, "the first and the last that are whole");
        let mut parts = whole.clone();
        (parts.before, parts.after) = (parts.from, parts.to);
        let five = (days("2024-03-10", "2024-03-14"), days("2024-12-01", "2024-12-05"));
        assert_eq!(parts.windows(), five);
        assert!(parts.is_cut() && !whole.is_cut());
        let one = usual(days("2024-11-01", "2024-11-30"));
        assert_eq!((one.windows().0, one.comparison()), (one.windows().1, None));
    }

    #[test]
    fn an_address_cannot_be_broken_out_of() {
        assert_eq!(encoded("a&b=\"<é"), "a%26b%3D%22%3C%C3%A9");
        assert_eq!(joined(&[("product", "x y".to_owned())]), "product=x%20y");
    }
}
