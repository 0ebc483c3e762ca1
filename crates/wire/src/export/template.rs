//! Templates: how records are laid out, compiled once into what is read of them.
//!
//! **Invariant:** a record has at least one byte, and a record read lies wholly in its set.

use super::element::{Action, Dialect, action};
use super::plan::Plan;
use super::record::{Clock, Values};

/// The length that means a length before each value (RFC 7011, 7).
const VARIABLE: u16 = u16::MAX;

/// Fields of one template. Picked by hand: the largest seen have about a hundred; a message
/// of 65,535 bytes could announce sixteen thousand.
const FIELDS_MAX: usize = 2_048;

/// A field as announced (RFC 3954, 5.2; RFC 7011, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Field {
    pub(super) enterprise: u32,
    pub(super) id: u16,
    pub(super) length: u16,
}

/// Where a value is and what it means. Offsets count from the end of the last value of
/// variable length before it, or from the start of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) offset: u16,
    /// [`VARIABLE`] if its length is before it.
    pub(super) width: u16,
    pub(super) action: Action,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template {
    /// Whether its records are options, not flows.
    pub(super) options: bool,
    pub(super) fields: Box<[Field]>,
    steps: Box<[Step]>,
    /// What follows the last value of variable length.
    tail: usize,
    /// Of a record, at the least; of every record if `fixed`.
    shortest: usize,
    fixed: bool,
    /// Of plain flows of a fixed length.
    plan: Option<Box<Plan>>,
}

impl Template {
    /// `None` if no record can be laid out so: without a byte, longer than a message, or
    /// of too many fields.
    pub(super) fn compile(
        dialect: Dialect,
        options: bool,
        fields: Vec<Field>,
    ) -> Option<Self> {
        if fields.len() > FIELDS_MAX {
            return None;
        }
        let mut steps: Vec<Step> = Vec::new();
        let (mut offset, mut shortest, mut fixed) = (0_u16, 0_usize, true);
        for field in &fields {
            let action = action(dialect, field.enterprise, field.id);
            if field.length == VARIABLE {
                if dialect == Dialect::V9 {
                    return None;
                }
                fixed = false;
                shortest += 1;
                steps.push(Step { offset, width: VARIABLE, action });
                offset = 0;
                continue;
            }
            if action.takes(field.length) {
                keep_best(&mut steps, Step { offset, width: field.length, action });
            }
            offset = offset.checked_add(field.length)?;
            shortest += usize::from(field.length);
        }
        if shortest == 0 || shortest > usize::from(u16::MAX) {
            return None;
        }
        let plain = fixed && !options;
        let plan = plain.then(|| Plan::compile(dialect, &steps, shortest)).flatten();
        Some(Self {
            options,
            plan,
            fields: fields.into_boxed_slice(),
            steps: steps.into_boxed_slice(),
            tail: usize::from(offset),
            shortest,
            fixed,
        })
    }

    /// The plan of its records, if they are plain flows, and how long each is.
    pub(super) fn plan(&self) -> Option<(&Plan, usize)> {
        self.plan.as_deref().map(|plan| (plan, self.shortest))
    }

    /// Reads the record at the start of `bytes` and returns the length of it, or `None` if
    /// none begins here: what is left is padding, or cut short.
    pub(super) fn read<'a>(
        &self,
        bytes: &'a [u8],
        clock: &Clock,
        values: &mut Values<'a>,
    ) -> Option<usize> {
        values.clear();
        if self.fixed {
            let record = bytes.get(..self.shortest)?;
            for step in &self.steps {
                let rest = record.get(usize::from(step.offset)..)?;
                values.set(step.action, rest.get(..usize::from(step.width))?, clock);
            }
            return Some(self.shortest);
        }
        self.read_variable(bytes, clock, values)
    }

    fn read_variable<'a>(
        &self,
        bytes: &'a [u8],
        clock: &Clock,
        values: &mut Values<'a>,
    ) -> Option<usize> {
        if bytes.len() < self.shortest {
            return None;
        }
        let mut base = bytes;
        for step in &self.steps {
            let rest = base.get(usize::from(step.offset)..)?;
            if step.width != VARIABLE {
                values.set(step.action, rest.get(..usize::from(step.width))?, clock);
                continue;
            }
            let (length, value) = match *rest {
                // RFC 7011, 7: 255 says that the length follows in two bytes.
                [255, high, low, ref value @ ..] => {
                    (u16::from_be_bytes([high, low]), value)
                }
                [255, ..] | [] => return None,
                [length, ref value @ ..] => (u16::from(length), value),
            };
            let (value, after) = value.split_at_checked(usize::from(length))?;
            if step.action.takes(length) {
                values.set(step.action, value, clock);
            }
            base = after;
        }
        let after = base.get(self.tail..)?;
        Some(bytes.len() - after.len())
    }
}

/// Adds a step, unless the record has a better value for the same slot.
fn keep_best(steps: &mut Vec<Step>, step: Step) {
    let same = |other: &Step| {
        step.action.slot().is_some() && other.action.slot() == step.action.slot()
    };
    match steps.iter().position(same).and_then(|at| steps.get(at).map(|s| (at, *s))) {
        Some((at, other))
            if other.width != VARIABLE && step.action.better_than(other.action) =>
        {
            steps.remove(at);
            steps.push(step);
        }
        Some(_) => {}
        None => steps.push(step),
    }
}
