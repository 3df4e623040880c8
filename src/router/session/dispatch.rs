//! Who runs a planned statement: a worker, the coordinator, or the executor.

use howdah_planner::{Plan, Planned, SingleShard};
use howdah_sql::{Kind, Literal, Statement};

use super::Session;
use super::analysis::{Analyzed, Distributed, Fallback};
use super::relay::Outcome;
use super::single_shard::{ShardGroup, Values, shard_group};
use super::worker_statement::Routed;
use crate::copy::Copied;
use crate::error::{Error, Result};
use crate::execution::Execution;

impl Session {
    /// The literals of a text that was just analyzed; to be given back for their memory.
    pub(super) fn take_literals(&mut self, text: &[u8]) -> Vec<Literal> {
        self.shape.read(text);
        std::mem::take(&mut self.shape.literals)
    }

    /// Runs a planned statement of the simple protocol.
    pub(super) async fn run_planned(
        &mut self,
        text: &[u8],
        analyzed: &Analyzed,
        distributed: &Distributed,
    ) -> Result<Outcome> {
        let literals = self.take_literals(text);
        let values = Values { text, literals: &literals, bind: None, parameter_types: &[], utf8: self.utf8 };
        let outcome = match choose(distributed, &values)? {
            Choice::Single(single, shard) => {
                self.run_single(&Routed { single, shard, distributed, values: &values }).await
            }
            Choice::Coordinator { writes } => {
                self.open_for(&distributed.statement);
                self.on_coordinator(text, analyzed.effects, writes).await
            }
            Choice::Executor(planned) => {
                let execution = execution(distributed, planned, &values)?;
                self.execute_by_router(&execution).await
            }
            Choice::Anew(own) => Box::pin(self.run_planned(text, analyzed, &own)).await,
        };
        self.shape.literals = literals;
        outcome
    }

    /// EXPLAIN of a distributed statement, in either protocol.
    pub(super) async fn run_explain(
        &mut self,
        text: &[u8],
        analyzed: &Analyzed,
        distributed: &Distributed,
    ) -> Result<Outcome> {
        let Some(statement) = &analyzed.statement else {
            return self.on_coordinator(text, analyzed.effects, false).await;
        };
        let literals = self.take_literals(distributed.statement.text().as_bytes());
        let explained = distributed.statement.clone();
        let values = Values {
            text: explained.text().as_bytes(),
            literals: &literals,
            bind: None,
            parameter_types: &[],
            utf8: self.utf8,
        };
        let planned = match choose(distributed, &values)? {
            Choice::Executor(planned) => planned,
            Choice::Single(..) | Choice::Coordinator { .. } | Choice::Anew(_) => &distributed.planned,
        };
        let execution = execution(distributed, planned, &values)?;
        crate::executor::explain(self, statement, &execution).await?;
        Ok(Outcome::Succeeded)
    }

    pub(super) async fn execute_by_router(&mut self, execution: &Execution<'_>) -> Result<Outcome> {
        crate::executor::execute(self, execution).await?;
        Ok(Outcome::Succeeded)
    }

    pub(super) async fn run_copy(&mut self, text: &[u8], analyzed: &Analyzed) -> Result<Outcome> {
        if let Some(statement) = &analyzed.statement
            && crate::executor::copy(self, statement).await? == Copied::Here
        {
            return Ok(Outcome::Succeeded);
        }
        // A reference table: its triggers forward what is written.
        self.transaction.open_statement();
        self.on_coordinator(text, analyzed.effects, true).await
    }

    /// Gives a statement that the coordinator runs a transaction of its own, unless there is one. CALL and DO may
    /// commit by themselves, and PostgreSQL itself refuses DECLARE and LOCK outside of a block.
    pub(super) fn open_for(&mut self, statement: &Statement) {
        if !matches!(statement.kind(), Kind::Call | Kind::Do | Kind::Declare | Kind::Lock) {
            self.transaction.open_statement();
        }
    }

    /// DDL and the like on distributed tables, or on what all nodes have. The coordinator's part is ours, what
    /// workers need beside it is in `ddl.rs`.
    pub(super) async fn run_utility(&mut self, text: &[u8], analyzed: &Analyzed) -> Result<Outcome> {
        let Some(statement) = &analyzed.statement else {
            return self.on_coordinator(text, analyzed.effects, true).await;
        };
        if !crate::ddl::runs_alone(statement) {
            self.open_for(statement);
        }
        crate::ddl::before(self, statement).await?;
        let sent = self.client.mark();
        let outcome = self.on_coordinator(text, analyzed.effects, true).await?;
        if outcome == Outcome::Succeeded
            && let Err(error) = crate::ddl::after(self, statement).await
        {
            // The client must not hear that the command is complete.
            if self.client.may_rewind(&sent) {
                self.client.rewind(&sent)?;
            }
            return Err(error);
        }
        Ok(outcome)
    }
}

/// What is done with a plan, now that the values are known.
pub(super) enum Choice<'a> {
    Single(&'a SingleShard, ShardGroup),
    Coordinator {
        writes: bool,
    },
    Executor(&'a Planned),
    /// As this says: it is for this text alone.
    Anew(Box<Distributed>),
}

pub(super) fn choose<'a>(distributed: &'a Distributed, values: &Values<'_>) -> Result<Choice<'a>> {
    if distributed.is_bound_to_the_coordinator(values) {
        if distributed.is_read() {
            return Ok(Choice::Coordinator { writes: false });
        }
        return Err(Error::not_supported(
            "cannot return arrays, ranges or rows of user-defined types in binary format from a write of a distributed table",
            "Ask for such results in text format, or read them with a SELECT.",
        ));
    }
    let mut planned = &distributed.planned;
    if let Plan::SingleShard(single) = &planned.plan {
        if let Some(shard) = shard_group(single, &distributed.catalog, values) {
            return Ok(Choice::Single(single, shard));
        }
        planned = match distributed.fallback(values.text)? {
            Fallback::Known(planned) => planned,
            Fallback::Own(own) => return Ok(Choice::Anew(own)),
        };
    }
    Ok(match &planned.plan {
        Plan::Coordinator { writes } => Choice::Coordinator { writes: *writes },
        _ => Choice::Executor(planned),
    })
}

pub(super) fn execution<'a>(
    distributed: &'a Distributed,
    planned: &'a Planned,
    values: &Values<'a>,
) -> Result<Execution<'a>> {
    Ok(Execution {
        planned,
        statement: &distributed.statement,
        catalog: &distributed.catalog,
        text: values.text,
        literals: values.literals,
        bind: values.bind,
        pace: &distributed.pace,
        description: &distributed.description,
        utf8: values.utf8,
    })
}
