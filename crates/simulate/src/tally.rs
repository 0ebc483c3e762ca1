//! What a perfect counter would find in the telemetry, and what is true beside it.
//!
//! **Invariant:** "observed" uses only what the flows and the first snapshot of the
//! registry say; "true" uses only what the world decided.

use crate::calendar::{self, APRIL, NOVEMBER};
use crate::calibrate::{self, Calibration, Counts};
use crate::country::{COUNTRIES, US};
use crate::spill::Spill;
use crate::targets::{PUBLISHED, Published, US_SECTORS};
use crate::traffic::Days;
use crate::world::World;
use crate::{Error, Params};

/// Contact days in a month that make an organisation active.
pub(crate) const ACTIVE_DAYS: u32 = 2;

/// Active organisations of one country or sector, by month.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Group {
    /// Counted as active: seen on two days or more, under the identity that the first
    /// snapshot of the registry gives.
    pub observed: [u32; 12],
    /// Having the product on at least one day, whoever can see it.
    pub truth: [u32; 12],
    /// Of April's observed, those observed in November.
    pub observed_kept: u32,
    /// Of those with the product in April, those with it in November.
    pub true_kept: u32,
}

impl Group {
    /// Observed share of April's organisations that November does not show.
    pub fn observed_removal(&self) -> f64 {
        1.0 - f64::from(self.observed_kept) / f64::from(self.observed[APRIL].max(1))
    }

    /// True share of April's organisations without the product in November.
    pub fn true_removal(&self) -> f64 {
        1.0 - f64::from(self.true_kept) / f64::from(self.truth[APRIL].max(1))
    }
}

/// Distinct addresses of a month that contacted update servers, as simulated: consumers
/// are the simulated share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Addresses {
    /// IPv4 addresses of organisations.
    pub own_v4: u32,
    /// IPv6 /64 networks of organisations.
    pub own_v6: u32,
    /// IPv4 addresses of consumers.
    pub consumer_v4: u32,
    /// IPv6 /64 networks of consumers.
    pub consumer_v6: u32,
}

impl Addresses {
    /// Distinct addresses of the full-size world that these stand for.
    pub fn expanded(&self, params: &Params) -> f64 {
        let own = f64::from(self.own_v4 + self.own_v6);
        let consumer = f64::from(self.consumer_v4 + self.consumer_v6);
        (own + consumer / params.eyeball) / params.organisations
    }
}

/// Counts of a simulated year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// All organisations.
    pub world: Group,
    /// By ISO code of the country.
    pub countries: Vec<(&'static str, Group)>,
    /// Of the United States, by sector.
    pub us_sectors: Vec<(&'static str, Group)>,
    /// Distinct addresses, by month.
    pub addresses: [Addresses; 12],
}

/// A figure that the world is made for beside the simulated one.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Name of the target.
    pub id: &'static str,
    /// As published, or as the parameters say otherwise, for the full-size world.
    pub published: f64,
    /// Where.
    pub source: &'static str,
    /// As simulated or expected, expanded to the full-size world.
    pub simulated: f64,
}

impl Comparison {
    /// Relative difference: 0.03 is three per cent too many. Of a target of zero, the
    /// difference itself.
    pub fn difference(&self) -> f64 {
        let difference = self.simulated - self.published;
        if self.published == 0.0 { difference } else { difference / self.published }
    }
}

/// Draws a whole year in memory and counts it.
pub fn tally(params: &Params) -> Result<Tally, Error> {
    let world = World::new(params)?;
    let mut books = Books::new(&world);
    for month in 0..12 {
        let mut page = Page::new(&world);
        crate::traffic::month(&world, month, &mut page);
        books.close(month, page);
    }
    Ok(books.tally())
}

/// What is expected of a year, without drawing it: sums of probabilities.
pub fn expected(params: &Params) -> Result<Vec<Comparison>, Error> {
    params.check()?;
    Ok(expectations(params, &Calibration::solve(params)))
}

/// What a solved world expects.
pub(crate) fn expectations(params: &Params, solved: &Calibration) -> Vec<Comparison> {
    let of = |keep: &dyn Fn(usize, Option<&str>) -> bool| {
        let kept = solved.strata.iter().filter(|s| keep(s.country, s.sector));
        kept.fold(Counts::default(), |sum, s| sum.plus(s.expected))
    };
    let country = |code: &str| of(&|country, _| COUNTRIES[country].code == code);
    let sector = |id: &str| of(&|country, sector| country == US && sector == Some(id));
    let addresses = |april: bool| {
        let consumers = solved.consumers.iter();
        calibrate::own_addresses(params, april)
            + consumers.map(|c| if april { c.april } else { c.november }).sum::<f64>()
    };
    let world = calibrate::total(&solved.strata);
    let figures = Figures {
        world: [world.april, world.november],
        addresses: [addresses(true), addresses(false)],
        us: [country("US").april, country("US").november],
        removal: &|code| country(code).removal(),
        sector: &|id| [sector(id).april, sector(id).november],
    };
    figures.compare(&params.targets())
}

impl Tally {
    /// The published figures beside this year's, expanded by the world's scale.
    pub fn compare(&self, params: &Params) -> Vec<Comparison> {
        let scale = params.organisations;
        let windows = |group: &Group| {
            [APRIL, NOVEMBER].map(|month| f64::from(group.observed[month]) / scale)
        };
        let find = |list: &[(&'static str, Group)], id: &str| {
            list.iter()
                .find(|(i, _)| *i == id)
                .map(|(_, g)| g.clone())
                .unwrap_or_default()
        };
        let figures = Figures {
            world: windows(&self.world),
            addresses: [APRIL, NOVEMBER].map(|m| self.addresses[m].expanded(params)),
            us: windows(&find(&self.countries, "US")),
            removal: &|code| find(&self.countries, code).observed_removal(),
            sector: &|id| windows(&find(&self.us_sectors, id)),
        };
        figures.compare(&params.targets())
    }
}

impl Params {
    /// The published figures as these parameters aim at them: the parameters' own where
    /// they differ, and of a world without a fall April's figures for November.
    fn targets(&self) -> Vec<Published> {
        let t = &self.targets;
        let still = self.is_unchanged();
        let after = |april: f64, november: f64| if still { april } else { november };
        let removal = |removal: f64| if still { 0.0 } else { removal };
        let value = |p: &Published| match p.id {
            "organisations.april" => t.organisations_april,
            "organisations.november" => {
                after(t.organisations_april, t.organisations_november)
            }
            "addresses.april" => t.addresses_april,
            "addresses.november" => after(t.addresses_april, t.addresses_november),
            "organisations.US.april" => t.us_april,
            "organisations.US.november" => after(t.us_april, t.us_november),
            "organisations.US.government.april" => t.us_government_april,
            "organisations.US.government.november" => {
                after(t.us_government_april, t.us_government_november)
            }
            "net.XX" => removal(p.value),
            id => match id.rsplit_once('.') {
                Some(("removal", code)) => {
                    let own = self.countries.get(code).and_then(|c| c.removal);
                    removal(own.filter(|_| code != "US").unwrap_or(p.value))
                }
                Some(("sector.US", sector)) => {
                    self.us_sectors.get(sector).map_or(p.value, |s| s.share)
                }
                _ => p.value,
            },
        };
        PUBLISHED.iter().map(|p| Published { value: value(p), ..*p }).collect()
    }
}

/// The figures that targets name, in April and November.
struct Figures<'a> {
    world: [f64; 2],
    addresses: [f64; 2],
    us: [f64; 2],
    removal: &'a dyn Fn(&str) -> f64,
    sector: &'a dyn Fn(&str) -> [f64; 2],
}

impl Figures<'_> {
    fn compare(&self, targets: &[Published]) -> Vec<Comparison> {
        let one = |p: &Published| Comparison {
            id: p.id,
            published: p.value,
            source: p.source,
            simulated: self.value(p.id),
        };
        targets.iter().map(one).collect()
    }

    fn value(&self, id: &str) -> f64 {
        let government = (self.sector)("government");
        match id {
            "organisations.april" => self.world[0],
            "organisations.november" => self.world[1],
            "addresses.april" => self.addresses[0],
            "addresses.november" => self.addresses[1],
            "organisations.US.april" => self.us[0],
            "organisations.US.november" => self.us[1],
            "organisations.US.government.april" => government[0],
            "organisations.US.government.november" => government[1],
            "net.XX" => {
                1.0 - (self.world[1] - self.us[1]) / (self.world[0] - self.us[0])
            }
            _ => match id.rsplit_once('.') {
                Some(("removal", code)) => (self.removal)(code),
                Some(("sector.US", sector)) => (self.sector)(sector)[0] / self.us[0],
                _ => f64::NAN,
            },
        }
    }
}

/// One month's findings.
pub(crate) struct Page {
    /// Flows, by vantage in the order of `Seen::ALL`; none where they only count.
    pub(crate) rows: Option<[Spill; 2]>,
    days: Vec<Days>,
    moved: Vec<u32>,
    own: Distinct,
    consumers: Distinct,
}

impl Page {
    /// A page that counts only.
    pub(crate) fn new(world: &World) -> Self {
        Self {
            rows: None,
            days: vec![Days::default(); world.organisations.len()],
            moved: vec![0; world.organisations.len()],
            own: Distinct::default(),
            consumers: Distinct::default(),
        }
    }

    /// A page that keeps the flows as well.
    pub(crate) fn with_rows(world: &World, rows: [Spill; 2]) -> Self {
        Self { rows: Some(rows), ..Self::new(world) }
    }
}

impl crate::traffic::Sink for Page {
    fn row(&mut self, seen: crate::traffic::Seen, row: crate::traffic::Row) {
        if let Some(rows) = &mut self.rows {
            rows[seen as usize].push(row);
        }
    }

    fn organisation(&mut self, place: usize, days: Days, moved: u32) {
        self.days[place] = days;
        self.moved[place] = moved;
    }

    fn address(&mut self, address: u128, own: bool) {
        if own { self.own.insert(address) } else { self.consumers.insert(address) }
    }
}

/// An organisation's month: days as bits, the first of the month lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrganisationMonth {
    /// Number of days with the product.
    pub(crate) present: u8,
    /// In contact at a vantage.
    pub(crate) contacted: u32,
    /// In contact with hosts that the vendor moved.
    pub(crate) moved: u32,
    /// In contact under its id or its former id, whichever shows more.
    pub(crate) observed: u32,
}

/// The year's books: what was found of each organisation in each month.
pub(crate) struct Books<'a> {
    world: &'a World,
    /// Days of each month observed under an identity (see [`World::said`]), one bit a day.
    observed: Vec<[u32; 12]>,
    /// Days on which its own addresses were in contact, whatever the registry says.
    contacted: Vec<[u32; 12]>,
    /// Days on which they were in contact with hosts that the vendor moved.
    moved: Vec<[u32; 12]>,
    /// Number of days with the product.
    present: Vec<[u8; 12]>,
    addresses: [Addresses; 12],
}

impl<'a> Books<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let present = |o: &crate::organisation::Organisation| {
            std::array::from_fn(|month| {
                let (start, length) = calendar::month(month);
                u8::try_from(o.presence.days_in(start, length))
                    .expect("days of a month")
            })
        };
        let none = vec![[0; 12]; world.organisations.len()];
        Self {
            world,
            observed: none.repeat(2),
            moved: none.clone(),
            contacted: none,
            present: world.organisations.iter().map(present).collect(),
            addresses: [Addresses::default(); 12],
        }
    }

    /// Enters a month's page.
    pub(crate) fn close(&mut self, month: usize, page: Page) {
        let mut bits = vec![0u32; self.observed.len()];
        for (place, days) in page.days.iter().enumerate() {
            let own = days.iter().fold(0, |all, d| all | d);
            self.contacted[place][month] = own;
            self.moved[place][month] = page.moved[place];
            for (said, days) in self.world.said[place].iter().zip(days) {
                if let Some(said) = said {
                    bits[*said] |= days;
                }
            }
        }
        for (place, days) in bits.into_iter().enumerate() {
            self.observed[place][month] = days;
        }
        let (own_v4, own_v6) = page.own.counts();
        let (consumer_v4, consumer_v6) = page.consumers.counts();
        self.addresses[month] = Addresses { own_v4, own_v6, consumer_v4, consumer_v6 };
    }

    /// Sums the books.
    pub(crate) fn tally(&self) -> Tally {
        let identities = self.observed.len();
        let mut world = Group::default();
        let mut countries: Vec<_> =
            COUNTRIES.iter().map(|c| (c.code, Group::default())).collect();
        let mut us_sectors: Vec<_> =
            US_SECTORS.iter().map(|s| (s.id, Group::default())).collect();
        let organisations = self.world.organisations.iter();
        for (identity, organisation) in
            organisations.cycle().enumerate().take(identities)
        {
            self.enter(identity, &mut world);
            self.enter(identity, &mut countries[organisation.country].1);
            let sector = us_sectors.iter_mut().find(|s| s.0 == organisation.sector);
            if let Some((_, group)) = sector.filter(|_| organisation.country == US) {
                self.enter(identity, group);
            }
        }
        Tally { world, countries, us_sectors, addresses: self.addresses }
    }

    /// What there is to say of an organisation's month.
    pub(crate) fn month(&self, place: usize, month: usize) -> OrganisationMonth {
        let former = place + self.world.organisations.len();
        let [first, second] = [place, former].map(|i| self.observed[i][month]);
        OrganisationMonth {
            present: self.present[place][month],
            contacted: self.contacted[place][month],
            moved: self.moved[place][month],
            observed: if ones(second) > ones(first) { second } else { first },
        }
    }

    fn enter(&self, identity: usize, group: &mut Group) {
        let observed =
            |m: usize| self.observed[identity][m].count_ones() >= ACTIVE_DAYS;
        // Only the first identity is a real organisation.
        let truth = |m: usize| self.present.get(identity).is_some_and(|p| p[m] > 0);
        for month in 0..12 {
            group.observed[month] += u32::from(observed(month));
            group.truth[month] += u32::from(truth(month));
        }
        group.observed_kept += u32::from(observed(APRIL) && observed(NOVEMBER));
        group.true_kept += u32::from(truth(APRIL) && truth(NOVEMBER));
    }
}

fn ones(bits: u32) -> u8 {
    u8::try_from(bits.count_ones()).expect("at most 32")
}

/// Distinct IPv4 addresses and IPv6 /64 networks. Repeats are thrown out whenever the list
/// has doubled, so that memory follows what is distinct.
#[derive(Default)]
struct Distinct {
    v4: Vec<u32>,
    v6: Vec<u64>,
    /// Length of the lists when repeats were last thrown out.
    clean: usize,
}

/// Lists shorter than this are left alone.
const DISTINCT_MIN: usize = 100_000;

impl Distinct {
    fn insert(&mut self, address: u128) {
        if address >> 32 == 0xffff {
            let bits = u32::try_from(address & 0xffff_ffff);
            self.v4.push(bits.expect("32 bits"));
        } else {
            let network = u64::try_from(address >> 64);
            self.v6.push(network.expect("64 bits"));
        }
        if self.v4.len() + self.v6.len() > DISTINCT_MIN.max(2 * self.clean) {
            self.clean();
        }
    }

    fn clean(&mut self) {
        self.v4.sort_unstable();
        self.v4.dedup();
        self.v6.sort_unstable();
        self.v6.dedup();
        self.clean = self.v4.len() + self.v6.len();
    }

    fn counts(mut self) -> (u32, u32) {
        self.clean();
        let count = |n: usize| u32::try_from(n).expect("fewer addresses than IPv4 has");
        (count(self.v4.len()), count(self.v6.len()))
    }
}
