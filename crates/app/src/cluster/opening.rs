//! What an executor opens: its lake, and the map that a question names.
//!
//! **Invariant:** a map is made of the tables and texts that the question names, or not at
//! all. It is made once and kept while questions want it.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegauge_census::Opener;
use tidegauge_model::{Day, Gap};
use tidegauge_store::{Lake, Table};
use tokio::sync::Mutex;

use crate::settings::Settings;
use crate::{args, holders, knowledge};

/// What a map of holders is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    /// Version of the program that makes it.
    program: String,
    /// Version of the table of observations.
    atlas: i64,
    /// Version of the table of vantages.
    vantages: i64,
    /// Fingerprint of the sectors and the file of organisations.
    texts: String,
    known: Option<Day>,
    gap: Gap,
    before_first: Gap,
}

impl Map {
    /// What the map of `lake` is made of today, by these rules.
    pub(super) async fn of(
        lake: &Lake,
        settings: &Settings,
        rules: args::MapRules,
    ) -> anyhow::Result<Self> {
        let args::MapRules { known, gap, before_first } = rules;
        Ok(Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            atlas: lake.snapshot(Table::Atlas).await?.version,
            vantages: lake.snapshot(Table::Vantages).await?.version,
            texts: knowledge::rules_fingerprint(settings)?.to_string(),
            known,
            gap,
            before_first,
        })
    }

    /// As text.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a map is named by plain data")
    }

    fn rules(&self) -> args::MapRules {
        let Self { known, gap, before_first, .. } = *self;
        args::MapRules { known, gap, before_first }
    }

    /// Fails, and says what differs, unless both are the same.
    fn check(&self, asked: &Self) -> anyhow::Result<()> {
        let (here, there) = (&self.program, &asked.program);
        ensure!(
            here == there,
            "this executor is of version {here}, the client of {there} (hint: install the \
             same version everywhere)"
        );
        ensure!(
            self.texts == asked.texts,
            "this executor has other sectors or organisations than the client (hint: start \
             it with the same --data and --organisations-file)"
        );
        let tables = [
            ("atlas", self.atlas, asked.atlas),
            ("vantages", self.vantages, asked.vantages),
        ];
        for (table, here, there) in tables {
            ensure!(
                here == there,
                "the table `{table}` is at version {here} here, and the question is for \
                 {there} (hint: ask again; if it stays so, this executor does not see the \
                 lake of the client)"
            );
        }
        Ok(())
    }
}

/// The lake of an executor, and the map that was asked for last.
pub(super) struct Counting {
    lake: Lake,
    settings: Settings,
    last: Mutex<Option<(Map, Arc<dyn tidegauge_model::Holders>)>>,
}

impl Counting {
    pub(super) fn new(lake: Lake, settings: Settings) -> Self {
        Self { lake, settings, last: Mutex::default() }
    }

    async fn holders(
        &self,
        lake: &str,
        holders: &str,
    ) -> anyhow::Result<Arc<dyn tidegauge_model::Holders>> {
        let own = self.lake.url().as_str();
        if lake != own {
            bail!(
                "this executor counts in {own} (hint: mount the lake at one path on all \
                 machines, and name it so with --lake)"
            );
        }
        let asked: Map = serde_json::from_str(holders)
            .context("the map has a name of another form")?;
        // Held while the map is made, so that portions that come together make one.
        let mut last = self.last.lock().await;
        if let Some((map, made)) = &*last
            && *map == asked
        {
            return Ok(Arc::clone(made));
        }
        let here = Map::of(&self.lake, &self.settings, asked.rules()).await?;
        here.check(&asked)?;
        let rules = asked.rules();
        let made: Arc<dyn tidegauge_model::Holders> =
            holders::map(&self.lake, &self.settings, rules).await?.map;
        *last = Some((asked, Arc::clone(&made)));
        Ok(made)
    }
}

#[async_trait]
impl Opener for Counting {
    async fn open(
        &self,
        lake: &str,
        holders: &str,
    ) -> Result<tidegauge_census::Opened, Box<dyn std::error::Error + Send + Sync>>
    {
        let holders = self.holders(lake, holders).await?;
        Ok(tidegauge_census::Opened { lake: self.lake.clone(), holders })
    }
}
