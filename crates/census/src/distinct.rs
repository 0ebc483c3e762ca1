//! `COUNT(DISTINCT …)` as two GROUP BYs.
//!
//! ```text
//! SELECT g, count(DISTINCT x), count(*)     SELECT g, count(x), sum(n)
//! FROM t GROUP BY g                      ─► FROM (SELECT g, x, count(*) AS n FROM t GROUP BY g, x)
//!                                           GROUP BY g
//! ```
//!
//! **Invariant:** a query means what it meant, with the same columns, names and types. One with
//! an aggregate that cannot be put together of parts (an average, an ordered one) stays as it is, and so
//! does one that counts several things distinct. Those would be grouping sets, of which the engine
//! counts some twice where it knows a column to be constant (55.2).
//!
//! The engine's own rule does this only where nothing but sums, least and greatest values stand
//! beside; else it keeps a set of values for each group, which is slow for wide types and cannot
//! go to disk.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, col,
    lit, when,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule.
#[derive(Debug)]
pub(crate) struct TwoLevels;

impl OptimizerRule for TwoLevels {
    fn name(&self) -> &'static str {
        "count_distinct_as_two_group_bys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Ok(Transformed::no(plan));
        };
        match Levels::of(aggregate) {
            Some(levels) => Ok(Transformed::yes(levels.plan(aggregate)?)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

/// The column of what is counted distinct.
const DISTINCT: &str = "x";

/// An aggregation in parts.
#[derive(Default)]
struct Levels {
    /// What is counted distinct.
    distinct: Option<Expr>,
    /// The aggregates of the lower level, with what they are of.
    lower: Vec<(Arc<AggregateUDF>, Expr)>,
    /// Those of the upper one, in the order of the query.
    upper: Vec<Upper>,
}

/// How an aggregate of the query is put together.
enum Upper {
    /// The count of [`Levels::distinct`].
    Distinct,
    /// The sum of counts of [`Levels::lower`].
    Count(usize),
    /// The same function of what it gave before: of a column of [`Levels::lower`].
    Same(usize),
}

impl Levels {
    /// The parts of an aggregation that counts something distinct, if it has any.
    fn of(aggregate: &Aggregate) -> Option<Self> {
        let sets = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
        if aggregate.group_expr.iter().any(sets) {
            return None;
        }
        let mut levels = Self::default();
        for expr in &aggregate.aggr_expr {
            levels.add(expr)?;
        }
        levels.distinct.is_some().then_some(levels)
    }

    fn add(&mut self, expr: &Expr) -> Option<()> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) =
            expr.clone().unalias()
        else {
            return None;
        };
        let [of] = params.args.as_slice() else { return None };
        if !params.order_by.is_empty() || params.null_treatment.is_some() {
            return None;
        }
        // Nulls are in none of these functions.
        let of = match params.filter {
            Some(filter) => when(*filter, of.clone()).end().ok()?,
            None => of.clone(),
        };
        let upper = match (func.name(), params.distinct) {
            ("count", true) => {
                if *self.distinct.get_or_insert_with(|| of.clone()) != of {
                    return None;
                }
                Upper::Distinct
            }
            ("count", false) => Upper::Count(self.below(func, of)),
            ("sum", false) | ("min" | "max", _) => Upper::Same(self.below(func, of)),
            _ => return None,
        };
        self.upper.push(upper);
        Some(())
    }

    fn below(&mut self, func: Arc<AggregateUDF>, of: Expr) -> usize {
        self.lower.push((func, of));
        self.lower.len() - 1
    }

    fn plan(&self, aggregate: &Aggregate) -> Result<LogicalPlan> {
        let groups = columns("g", aggregate.group_expr.len());
        let lower = self.lower_level(aggregate, &groups)?;
        let upper = self.upper.iter().enumerate().map(|(at, upper)| {
            let (func, of) = match upper {
                Upper::Distinct => (count_udaf(), DISTINCT.to_owned()),
                Upper::Count(a) => (sum_udaf(), name("a", *a)),
                Upper::Same(a) => {
                    let func = self.lower.get(*a).map(|(func, _)| Arc::clone(func));
                    (func.ok_or_else(lost)?, name("a", *a))
                }
            };
            Ok(call(func, col(of)).alias(name("u", at)))
        });
        let upper = upper.collect::<Result<Vec<_>>>()?;
        let upper =
            LogicalPlanBuilder::from(lower).aggregate(groups, upper)?.build()?;
        self.named_as_before(aggregate, upper)
    }

    /// One row for each group and each distinct value in it.
    fn lower_level(
        &self,
        aggregate: &Aggregate,
        groups: &[Expr],
    ) -> Result<LogicalPlan> {
        let by = aggregate.group_expr.iter().enumerate();
        let by = by.map(|(at, expr)| expr.clone().unalias().alias(name("g", at)));
        let distinct = self.distinct.iter().map(|expr| expr.clone().alias(DISTINCT));
        let of = self.lower.iter().enumerate();
        let of = of.map(|(at, (_, expr))| expr.clone().alias(name("v", at)));
        let functions = self.lower.iter().enumerate().map(|(at, (func, _))| {
            call(Arc::clone(func), col(name("v", at))).alias(name("a", at))
        });
        let functions: Vec<_> = functions.collect();
        let by_distinct = groups.iter().cloned().chain([col(DISTINCT)]);
        LogicalPlanBuilder::from(Arc::clone(&aggregate.input))
            .project(by.chain(distinct).chain(of).collect::<Vec<_>>())?
            .aggregate(by_distinct.collect::<Vec<_>>(), functions)?
            .build()
    }

    /// The columns of the upper level as those of the query were.
    fn named_as_before(
        &self,
        aggregate: &Aggregate,
        upper: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let group_count = aggregate.group_expr.len();
        let groups = columns("g", group_count).into_iter();
        let counts = self.upper.iter().enumerate().map(|(at, upper)| {
            let column = col(name("u", at));
            // Without a group and without a row there is a count, and it is 0.
            match upper {
                Upper::Count(_) => coalesce(vec![column, lit(0_i64)]),
                Upper::Distinct | Upper::Same(_) => column,
            }
        });
        let before = aggregate.schema.iter();
        let named = groups.chain(counts).zip(before).map(|(expr, (table, field))| {
            let expr = expr.cast_to(field.data_type(), upper.schema())?;
            Ok(expr.alias_qualified(table.cloned(), field.name()))
        });
        let named = named.collect::<Result<Vec<_>>>()?;
        LogicalPlanBuilder::from(upper).project(named)?.build()
    }
}

fn call(func: Arc<AggregateUDF>, of: Expr) -> Expr {
    let call =
        AggregateFunction::new_udf(func, vec![of], false, None, Vec::new(), None);
    Expr::AggregateFunction(call)
}

fn name(kind: &str, at: usize) -> String {
    format!("{kind}{at}")
}

fn columns(kind: &str, count: usize) -> Vec<Expr> {
    (0..count).map(|at| col(name(kind, at))).collect()
}

fn lost() -> datafusion::error::DataFusionError {
    internal_datafusion_err!("an aggregate of the lower level is lost")
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::SessionContext;
    use proptest::prelude::*;

    use super::*;
    use crate::world::block_on;

    /// Rows of two groups' names, a text and two numbers, each of which may be null.
    type Row = (Option<u8>, Option<u8>, Option<i64>, Option<i64>);

    fn sessions(rows: &[Row]) -> [SessionContext; 2] {
        let text = |of: fn(&Row) -> Option<u8>| {
            rows.iter()
                .map(of)
                .map(|n| n.map(|n| format!("t{n}")))
                .collect::<StringArray>()
        };
        let number =
            |of: fn(&Row) -> Option<i64>| rows.iter().map(of).collect::<Int64Array>();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("g", Arc::new(text(|r| r.0)) as _, true),
            ("s", Arc::new(text(|r| r.1)) as _, true),
            ("x", Arc::new(number(|r| r.2)) as _, true),
            ("y", Arc::new(number(|r| r.3)) as _, true),
        ]);
        let batch = batch.unwrap();
        let [plain, ours] = [SessionContext::new(), SessionContext::new()];
        ours.add_optimizer_rule(Arc::new(TwoLevels));
        for session in [&plain, &ours] {
            drop(session.register_batch("t", batch.clone()).unwrap());
        }
        [plain, ours]
    }

    async fn table(session: &SessionContext, sql: &str) -> String {
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&rows).unwrap().to_string()
    }

    /// The plan of a query, optimized.
    async fn plan(session: &SessionContext, sql: &str) -> String {
        let frame = session.sql(sql).await.unwrap();
        frame.into_optimized_plan().unwrap().display_indent().to_string()
    }

    const REWRITTEN: [&str; 9] = [
        "SELECT count(DISTINCT x) FROM t",
        "SELECT count(DISTINCT x), count(*), count(y) AS n, count(DISTINCT x) AS again FROM t",
        "SELECT g, count(DISTINCT s) AS s, count(*), sum(y), min(x), max(s) FROM t \
         GROUP BY g ORDER BY g",
        "SELECT g, s, count(DISTINCT x + y) FROM t GROUP BY s, g ORDER BY g, s",
        "SELECT upper(g) AS u, count(DISTINCT y), count(y) FROM t GROUP BY upper(g) ORDER BY u",
        "SELECT g, count(DISTINCT x) FILTER (WHERE y > 1), count(*) FILTER (WHERE x < 2) \
         FROM t GROUP BY g HAVING count(*) >= 1 ORDER BY g",
        "SELECT count(DISTINCT x), sum(CAST(x AS DECIMAL(10, 2))) FROM t",
        "SELECT a.g, count(DISTINCT a.x), count(*) FROM t a JOIN t b ON a.x = b.y GROUP BY a.g \
         ORDER BY a.g",
        "SELECT g, count(DISTINCT s), count(*) FROM t WHERE s = 't1' GROUP BY g ORDER BY g",
    ];

    const KEPT: [&str; 6] = [
        "SELECT g, count(DISTINCT x), avg(y) FROM t GROUP BY g ORDER BY g",
        "SELECT g, count(DISTINCT x), sum(DISTINCT y) FROM t GROUP BY g ORDER BY g",
        "SELECT g, s, count(DISTINCT x), count(*) FROM t GROUP BY ROLLUP (g, s) ORDER BY g, s, 3",
        "SELECT g, count(DISTINCT x), count(DISTINCT s), count(*) FROM t GROUP BY g ORDER BY g",
        "SELECT count(DISTINCT x), count(DISTINCT s) FROM t WHERE s = 't1'",
        "SELECT count(DISTINCT x), count(DISTINCT 'one') FROM t",
    ];

    #[test]
    fn what_cannot_be_put_together_stays() {
        let rows = [(Some(1), None, Some(1), Some(2)), (Some(1), None, Some(1), None)];
        let [_, ours] = sessions(&rows);
        let has = |plan: &str| {
            let aggregates = plan.lines().filter(|line| line.contains("Aggregate: "));
            let distinct = aggregates.clone().any(|line| line.contains("DISTINCT"));
            (aggregates.count(), distinct)
        };
        for kept in KEPT {
            let plan = block_on(plan(&ours, kept));
            assert_eq!(has(&plan), (1, true), "{plan}");
        }
        for rewritten in REWRITTEN {
            let plan = block_on(plan(&ours, rewritten));
            assert_eq!(has(&plan), (2, false), "{plan}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Against the engine without the rule.
        #[test]
        fn a_query_means_what_it_meant(rows in prop::collection::vec(
            (
                prop::option::of(0..3u8),
                prop::option::of(0..3u8),
                prop::option::of(0..4i64),
                prop::option::of(0..4i64),
            ),
            0..30,
        )) {
            let [plain, ours] = sessions(&rows);
            for sql in REWRITTEN.iter().chain(&KEPT) {
                let (expected, found) =
                    block_on(async { (table(&plain, sql).await, table(&ours, sql).await) });
                prop_assert_eq!(found, expected, "{}", sql);
            }
        }
    }
}
