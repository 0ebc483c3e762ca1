//! `tidegauge mcp`: the interface as tools for assistants, over standard input and output
//! (Model Context Protocol).
//!
//! **Invariant:** nothing is written but answers on standard output, and nothing in the lake
//! is changed; what a tool may tell is decided by the routes of the interface.

use std::future::{Future, ready};
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::Router;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer, ServiceExt};
use tidegauge_publish::serve::{Settings as PageSettings, router, tools};

use crate::opened::Opened;
use crate::settings::Settings;
use crate::verb::{report, serve};
use crate::{Outcome, args};

/// What an assistant is told of all tools.
const INSTRUCTIONS: &str = "Counts of addresses and organisations in contact with update servers \
    of products, and what bans and warnings did, with intervals. Begin with `scope`. Counts of \
    addresses and organisations never add up over cells. A suppressed cell is not zero. Figures \
    \"as seen\" mix people who stopped with sensors that saw less; say so, or use `policies_id`, \
    which says what is identified and what is not.";

/// Answers until the input ends.
pub(crate) async fn run(
    verb: &args::Mcp,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Arc::new(Opened::open(settings, verb.evidence.map).await?);
    let simulated = report::simulated(&opened).await?;
    let internal = verb.evidence.internal;
    let book = serve::book(&verb.findings, settings)?;
    ensure!(
        internal || book.is_none(),
        "findings are for the operator (hint: with --portfolio, give --internal)"
    );
    let pages = PageSettings {
        program: format!("tidegauge {}", env!("CARGO_PKG_VERSION")),
        internal,
        findings: book.is_some(),
        synthetic: simulated.as_ref().map(|s| s.synthetic.clone()),
        ..PageSettings::default()
    };
    let evidence = verb.evidence.clone();
    let live = serve::live(opened, evidence, settings, simulated.as_ref(), book)?;
    let router = router(live, pages);
    let server = Assistant { router, tools: listed(internal) };
    let running = server.serve(rmcp::transport::stdio()).await;
    let running =
        running.context("no assistant spoke the protocol on standard input")?;
    running.waiting().await.context("serving an assistant")?;
    Ok(Outcome::Done)
}

/// The tools, as the protocol has them.
fn listed(internal: bool) -> Vec<Tool> {
    let tool = |tool: tools::Tool| {
        let only_reads = ToolAnnotations::new().read_only(true).open_world(false);
        Tool::new(tool.name, tool.description, tool.arguments).annotate(only_reads)
    };
    tools::tools(internal).into_iter().map(tool).collect()
}

struct Assistant {
    router: Router,
    tools: Vec<Tool>,
}

impl ServerHandler for Assistant {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().build();
        let own = Implementation::new("tidegauge", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(tools).with_server_info(own).with_instructions(INSTRUCTIONS)
    }

    fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ListToolsResult, ErrorData>> + Send + '_ {
        ready(Ok(ListToolsResult::with_all_items(self.tools.clone())))
    }

    /// What a route refuses is an answer that says so: an assistant can mend its question.
    async fn call_tool(
        &self,
        asked: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !self.tools.iter().any(|tool| tool.name == asked.name) {
            let known: Vec<_> = self.tools.iter().map(|tool| &*tool.name).collect();
            let what =
                format!("there is no tool `{}`: {}", asked.name, known.join(", "));
            return Err(ErrorData::invalid_params(what, None));
        }
        let arguments = asked.arguments.unwrap_or_default();
        let answer = tools::call(self.router.clone(), &asked.name, &arguments).await;
        let result = match answer {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
        };
        Ok(result.into())
    }
}
