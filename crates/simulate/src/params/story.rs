//! The six worlds: one published pair of figures, six ways to come by it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Carrier, Cause, Courses, DEFAULT_SEED, Endpoints, Exchange, Families, Noise,
    Params, RegistryErrors, Substitution, Targets, members,
};

/// Which story the world tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Story {
    /// People really leave; visibility is constant but for one mild, stated change.
    #[default]
    #[serde(alias = "a")]
    A,
    /// Devices are seen ever more seldom; few leave.
    #[serde(alias = "b")]
    B,
    /// Sensor partners go dark for whole networks; few leave.
    #[serde(alias = "c")]
    C,
    /// The vendor moves hosts away from the names that are known; few leave.
    #[serde(alias = "d")]
    D,
    /// Nothing changes.
    #[serde(alias = "e")]
    E,
    /// Half of the fall is people leaving, half is visibility.
    #[serde(alias = "f")]
    F,
}

/// Removal from April to November that no act made, where few leave: of the order that
/// the published toy worlds had outside the United States (methods, 0).
const CHURN: f64 = 0.16;

impl Story {
    /// All, in order.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
            Self::E => 'E',
            Self::F => 'F',
        }
    }

    fn cause(self) -> Cause {
        let blind = Cause { removal: 0.0, churn: CHURN, ..Cause::default() };
        match self {
            Self::A => Cause::default(),
            Self::B => Cause { thinned: 1.0, ..blind },
            Self::C => Cause { dark: 1.0, ..blind },
            Self::D => Cause { moved: 1.0, ..blind },
            Self::E => Cause { removal: 0.0, ..Cause::default() },
            Self::F => Cause { removal: 0.5, thinned: 1.0, ..Cause::default() },
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

impl Params {
    /// The calibrated parameters of a world.
    pub fn of(story: Story) -> Self {
        let params = Self {
            world: story,
            organisations: 1.0,
            eyeball: 0.01,
            seed: DEFAULT_SEED,
            bystanders: 0.1,
            relapse: 0.03,
            adopters_us: 0.003,
            adopters_elsewhere: 0.012,
            cutoff: super::sensors::day("2024-09-29"),
            served_after_cutoff: 0.1,
            cause: story.cause(),
            targets: Targets::default(),
            families: Families::default(),
            substitution: Substitution::default(),
            noise: Noise::default(),
            exchange: Exchange::default(),
            carrier: Carrier::default(),
            registry: RegistryErrors::default(),
            endpoints: Endpoints::default(),
            courses: Courses::default(),
            countries: members::countries(),
            us_sectors: members::us_sectors(),
            sectors_elsewhere: members::sectors_elsewhere(),
        };
        match story {
            Story::E => params.unchanged(),
            _ => params,
        }
    }

    /// Nobody comes or goes, sampling stays, everybody is served to the end.
    fn unchanged(mut self) -> Self {
        self.relapse = 0.0;
        self.adopters_us = 0.0;
        self.adopters_elsewhere = 0.0;
        self.served_after_cutoff = 1.0;
        self.exchange.sampling_later = self.exchange.sampling;
        self
    }
}
