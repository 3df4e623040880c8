//! The boundary to PostgreSQL's own grammar (libpg_query): statements with their text and tree, walks over
//! the tree, tokens for splicing, and deparsing.
//!
//! Byte positions in a [`Statement`]'s tree are offsets into its own text. The grammar is the newest
//! release's: text that it refuses is not an error here, the coordinator decides (it may be older).
//! No catalog and no meaning of names: that is the planner's.

mod identifier;
mod kind;
mod lexer;
mod mentions;
mod relation;
mod shape;
mod split;
mod statement;
mod tokens;
mod walk;

pub use pg_query::protobuf as ast;
pub use pg_query::{Node, NodeEnum, NodeRef};

pub use self::identifier::{quote_identifier, quote_literal};
pub use self::kind::{Kind, TransactionKind};
pub use self::mentions::{is_query, may_mention};
pub use self::relation::{RelationName, RelationNames, relation_names};
pub use self::shape::{Literal, LiteralKind, Shape, shape};
pub use self::split::split_statements;
pub use self::statement::{ParseError, Statement, parse};
pub use self::tokens::{Token, Tokens};
pub use self::walk::{UnknownNode, children, names, walk};
