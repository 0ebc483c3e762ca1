//! How plans travel: those of Ballista as it sends them, and our operator as it says itself.
//!
//! **Invariant:** all three kinds of process use this codec. Only an executor can run what
//! it decodes, since only it has an opener.

use std::fmt;
use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalProtoConverterExtension,
};
use tidegauge_census::{CountExec, Opener};

/// What our operator begins with. No message of Ballista's does: its first byte is the tag
/// of a field, and `t` would be one of a type that does not exist.
const MARK: &[u8] = b"tidegauge count\n";

/// The codec of a process.
pub(crate) struct Codec {
    ballista: BallistaPhysicalExtensionCodec,
    opener: Option<Arc<dyn Opener>>,
}

impl Codec {
    pub(crate) fn new(opener: Option<Arc<dyn Opener>>) -> Self {
        Self { ballista: BallistaPhysicalExtensionCodec::default(), opener }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("opens", &self.opener.is_some())
            .finish_non_exhaustive()
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(bytes) = bytes.strip_prefix(MARK) else {
            return self.ballista.try_decode(bytes, inputs, context, converter);
        };
        let [input] = inputs else {
            let reason = format!("a count has one input, not {}", inputs.len());
            return Err(DataFusionError::Plan(reason));
        };
        let count = CountExec::decode(bytes, Arc::clone(input), self.opener.clone());
        let count = count.map_err(|error| DataFusionError::Plan(error.to_string()))?;
        Ok(Arc::new(count))
    }

    fn try_encode(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(count) = plan.downcast_ref::<CountExec>() else {
            return self.ballista.try_encode(plan, bytes, converter);
        };
        bytes.extend_from_slice(MARK);
        bytes.extend(count.encode());
        Ok(())
    }
}
