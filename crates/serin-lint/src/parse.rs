//! SQL to statements and what is in them. The only file that names the parser and linter squawk.

use crate::facts::{Bound, Fact, Verb, ViewUse};
use squawk_linter::{Linter, Rule};
use squawk_syntax::ast::{self, AstNode as _};
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode};
use std::ops::Range;

/// SQL that was read.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) statements: Vec<Statement>,
    pub(crate) comments: Vec<Comment>,
    /// What could not be read: where, and what was expected.
    pub(crate) errors: Vec<(Range<usize>, String)>,
}

/// One statement.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Its bytes, without what surrounds it.
    pub(crate) span: Range<usize>,
    /// What it does, as far as a rule of ours asks.
    pub(crate) facts: Vec<Fact>,
}

/// A comment, without its signs.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
}

/// What a rule of squawk found.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) rule: String,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Names of all rules of squawk.
pub(crate) fn rule_names() -> Vec<String> {
    // Those that are found by default and those that are not.
    Linter::with_default_rules().rules.iter().map(Rule::to_string).collect()
}

/// What squawk finds in SQL that is run in a transaction or not, by a server of this version.
pub(crate) fn violations(text: &str, in_transaction: bool, major: u32) -> Vec<Violation> {
    // Its own comments would hide findings without a reason.
    let text = text.replace("squawk-", "squawk_");
    let parse = SourceFile::parse(&text);
    let mut linter = Linter::with_default_rules();
    linter.settings.assume_in_transaction = in_transaction;
    if let Ok(version) = major.to_string().parse() {
        linter.settings.pg_version = version;
    }
    let found = linter.lint(&parse, &text).into_iter();
    found
        .map(|violation| Violation {
            rule: violation.code.to_string(),
            span: violation.text_range.start().into()..violation.text_range.end().into(),
            message: violation.message,
            help: violation.help,
        })
        .collect()
}

/// Reads SQL; what cannot be read leaves the rest as it is.
pub(crate) fn parse(text: &str) -> Parsed {
    let parse = SourceFile::parse(text);
    let errors = parse.errors().into_iter();
    let errors = errors
        .map(|error| {
            (error.range().start().into()..error.range().end().into(), error.message().to_owned())
        })
        .collect();
    let Some(file) = SourceFile::cast(parse.syntax_node()) else {
        return Parsed { errors, ..Parsed::default() };
    };
    Parsed {
        statements: file.stmts().filter_map(|statement| read(&statement)).collect(),
        comments: comments(&parse.syntax_node()),
        errors,
    }
}

fn read(statement: &ast::Stmt) -> Option<Statement> {
    if matches!(statement, ast::Stmt::EmptyStmt(_)) {
        return None;
    }
    let node = statement.syntax();
    let mut facts = Vec::new();
    match statement {
        ast::Stmt::Do(block) => block_facts(block, &mut facts),
        ast::Stmt::CreateFunction(function) => {
            body_facts(function.plpgsql().map(|body| body.syntax()).as_ref(), &mut facts);
        }
        ast::Stmt::CreateProcedure(procedure) => {
            body_facts(procedure.plpgsql().map(|body| body.syntax()).as_ref(), &mut facts);
        }
        _ => {
            node_facts(node, &mut facts);
            facts.extend(view_uses(node));
        }
    }
    Some(Statement { span: inner_span(node), facts })
}

/// The bytes of a node without white space and comments before it.
fn inner_span(node: &SyntaxNode) -> Range<usize> {
    let first = node.children_with_tokens().find(|part| !part.kind().is_trivia());
    let start = first.map_or(node.text_range().start(), |part| part.text_range().start());
    start.into()..node.text_range().end().into()
}

/// An anonymous block: its loops, its writes, its commits.
fn block_facts(block: &ast::Do, facts: &mut Vec<Fact>) {
    let Some(body) = block.plpgsql().map(|body| body.syntax()) else { return };
    let loops: Vec<SyntaxNode> = body.descendants().filter(is_loop).collect();
    for one in loops.iter().filter(|one| !one.ancestors().skip(1).any(|above| is_loop(&above))) {
        facts.push(Fact::Loop {
            writes: one.descendants().any(|n| is_write(&n)),
            commits: commits(one),
        });
    }
    if commits(&body) {
        facts.push(Fact::CommitInBlock);
    }
    for node in body.descendants().filter(|node| !node.ancestors().any(|above| is_loop(&above))) {
        facts.extend(write(&node));
    }
    facts.extend(view_uses(&body));
}

/// A function: only what it asks of the tables when it is called.
fn body_facts(body: Option<&SyntaxNode>, facts: &mut Vec<Fact>) {
    facts.extend(body.into_iter().flat_map(view_uses));
}

fn is_loop(node: &SyntaxNode) -> bool {
    use SyntaxKind as K;
    matches!(
        node.kind(),
        K::PLPGSQL_LOOP_STMT
            | K::PLPGSQL_WHILE_STMT
            | K::PLPGSQL_FOR_I_STMT
            | K::PLPGSQL_FOR_QUERY_STMT
            | K::PLPGSQL_FOR_CURSOR_STMT
            | K::PLPGSQL_FOR_DYN_STMT
            | K::PLPGSQL_FOR_EACH_STMT
    )
}

fn is_write(node: &SyntaxNode) -> bool {
    use SyntaxKind as K;
    matches!(
        node.kind(),
        K::UPDATE | K::DELETE | K::INSERT | K::MERGE | K::PLPGSQL_DYN_EXECUTE_STMT
    )
}

fn commits(node: &SyntaxNode) -> bool {
    node.descendants().any(|inner| inner.kind() == SyntaxKind::PLPGSQL_COMMIT_STMT)
}

fn node_facts(top: &SyntaxNode, facts: &mut Vec<Fact>) {
    for node in top.descendants() {
        facts.extend(write(&node));
        facts.extend(destroys(&node));
        facts.extend(structure(&node));
    }
}

/// An update or delete, and how many rows it may touch.
fn write(node: &SyntaxNode) -> Option<Fact> {
    let (verb, table, condition) = if let Some(update) = ast::Update::cast(node.clone()) {
        (Verb::Update, update.relation_name(), update.where_clause_or_current_of())
    } else {
        let delete = ast::Delete::cast(node.clone())?;
        (Verb::Delete, delete.relation_name(), delete.where_clause_or_current_of())
    };
    let table = table.map(|table| last_name(table.syntax())).unwrap_or_default();
    let bound = match condition {
        None => Bound::None,
        Some(ast::WhereClauseOrCurrentOf::WhereCurrentOf(_)) => Bound::Batch,
        Some(ast::WhereClauseOrCurrentOf::WhereClause(clause)) => bound(clause.syntax()),
    };
    Some(Fact::Write { verb, table, bound, span: inner_span(node) })
}

fn bound(condition: &SyntaxNode) -> Bound {
    use SyntaxKind as K;
    let has = |kind: K| condition.descendants().any(|node| node.kind() == kind);
    if has(K::LIMIT_CLAUSE) || has(K::BETWEEN_EXPR) {
        return Bound::Batch;
    }
    let compared = condition.descendants().filter(|node| node.kind() == K::BIN_EXPR).any(|node| {
        let equals =
            node.children_with_tokens().any(|part| matches!(part.kind(), K::EQ | K::IN_KW));
        let literal = node
            .children()
            .any(|part| matches!(part.kind(), K::LITERAL | K::TUPLE_EXPR | K::PAREN_EXPR));
        equals && literal
    });
    if compared { Bound::Value } else { Bound::Condition }
}

/// What takes something away that clients of the old shape may use.
fn destroys(node: &SyntaxNode) -> Option<Fact> {
    use SyntaxKind as K;
    let what = match node.kind() {
        K::DROP_TABLE => "drops a table",
        K::DROP_COLUMN => "drops a column",
        K::DROP_TYPE => "drops a type",
        K::DROP_DOMAIN => "drops a domain",
        K::DROP_SCHEMA => "drops a schema",
        K::DROP_SEQUENCE => "drops a sequence",
        K::DROP_VIEW | K::DROP_MATERIALIZED_VIEW => "drops a view",
        K::DROP_FUNCTION | K::DROP_PROCEDURE | K::DROP_ROUTINE => "drops a function",
        K::DROP_EXTENSION => "drops an extension",
        K::DROP_DATABASE => "drops a database",
        K::TRUNCATE => "empties a table",
        K::RENAME_COLUMN => "renames a column",
        K::TABLE_RENAME_TO => "renames a table",
        _ => return None,
    };
    let table = table_above(node).unwrap_or_else(|| last_name(node));
    Some(Fact::Destroys { what, table, span: inner_span(node) })
}

/// Tables, foreign keys, indexes, row-level security.
fn structure(node: &SyntaxNode) -> Option<Fact> {
    if let Some(create) = ast::CreateTable::cast(node.clone()) {
        let table = create.table_name().map(|name| last_name(name.syntax()))?;
        return Some(Fact::CreatesTable { table });
    }
    if let Some(index) = ast::CreateIndex::cast(node.clone()) {
        let table = index.table_relation_name().map(|name| last_name(name.syntax()))?;
        let first = index.partition_item_list()?.partition_items().next()?;
        let column = first.syntax().text().to_string();
        return Some(Fact::Index { table, column: bare(&column) });
    }
    match node.kind() {
        SyntaxKind::ENABLE_RLS => Some(Fact::RowLevelSecurity { table: table_above(node)? }),
        SyntaxKind::CREATE_POLICY => {
            let on = ast::CreatePolicy::cast(node.clone())?.on_table()?;
            Some(Fact::Policy { table: last_name(on.syntax()) })
        }
        _ => foreign_key(node),
    }
}

fn foreign_key(node: &SyntaxNode) -> Option<Fact> {
    let span = inner_span(node);
    if let Some(key) = ast::ForeignKeyConstraint::cast(node.clone()) {
        let columns = key.from_columns()?.syntax().text().to_string();
        let column = columns.trim_matches(['(', ')', ' ']).split(',').next()?.to_owned();
        return Some(Fact::ForeignKey { table: table_above(node)?, column: bare(&column), span });
    }
    ast::ReferencesConstraint::cast(node.clone())?;
    let column = node.ancestors().find_map(|above| {
        let added = ast::AddColumn::cast(above.clone()).and_then(|add| add.column_name());
        added.or_else(|| ast::Column::cast(above).and_then(|column| column.name()))
    });
    Some(Fact::ForeignKey { table: table_above(node)?, column: column?.text(), span })
}

/// The table whose definition a node is part of.
fn table_above(node: &SyntaxNode) -> Option<String> {
    node.ancestors().find_map(|above| {
        if let Some(alter) = ast::AlterTable::cast(above.clone()) {
            return alter.table_relation_name().map(|name| last_name(name.syntax()));
        }
        ast::CreateTable::cast(above)?.table_name().map(|name| last_name(name.syntax()))
    })
}

/// What does not work on a view.
fn view_uses(top: &SyntaxNode) -> Vec<Fact> {
    top.descendants().filter_map(|node| view_use(&node)).collect()
}

fn view_use(node: &SyntaxNode) -> Option<Fact> {
    let found = |kind, table: String| Some(Fact::ViewUse { kind, table, span: inner_span(node) });
    match node.kind() {
        SyntaxKind::COPY => {
            let copy = ast::Copy::cast(node.clone())?;
            let into = matches!(copy.copy_direction(), Some(ast::CopyDirection::CopyFrom(_)));
            let kind = if into { ViewUse::CopyFrom } else { ViewUse::CopyTo };
            found(kind, last_name(copy.copy_table()?.table_name_ref()?.syntax()))
        }
        SyntaxKind::MERGE => {
            let table = ast::Merge::cast(node.clone())?.table_relation_name()?;
            found(ViewUse::Merge, last_name(table.syntax()))
        }
        SyntaxKind::TRUNCATE => {
            let table = ast::Truncate::cast(node.clone())?.table_list()?;
            let first = table.table_relation_names().next()?;
            found(ViewUse::Truncate, last_name(first.syntax()))
        }
        SyntaxKind::CONFLICT_ON_CONSTRAINT => found(ViewUse::OnConstraint, String::new()),
        SyntaxKind::NAME_REF => {
            let name = node.text().to_string().to_ascii_lowercase();
            let system = matches!(name.as_str(), "ctid" | "xmin" | "xmax" | "cmin" | "cmax");
            if system { found(ViewUse::SystemColumn, name) } else { None }
        }
        _ => None,
    }
}

/// The last part of a name with dots, without quotes.
fn last_name(node: &SyntaxNode) -> String {
    let name = node.descendants().filter_map(ast::PathSegmentRef::cast).last();
    name.map(|segment| segment.text())
        .or_else(|| node.descendants().filter_map(ast::PathSegment::cast).last().map(|s| s.text()))
        .unwrap_or_default()
}

/// A column in a list, without quotes, order and operator class.
fn bare(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap_or_default();
    let quoted = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.map_or_else(|| word.to_ascii_lowercase(), |inner| inner.replace("\"\"", "\""))
}

fn comments(top: &SyntaxNode) -> Vec<Comment> {
    let tokens = top.descendants_with_tokens().filter_map(squawk_syntax::SyntaxElement::into_token);
    let comments = tokens.filter(|token| token.kind() == SyntaxKind::COMMENT);
    let comment = comments.map(|token| {
        let text = token.text();
        let line = text.strip_prefix("--");
        let inner = line.or_else(|| text.strip_prefix("/*")?.strip_suffix("*/")).unwrap_or(text);
        let range = token.text_range();
        Comment { span: range.start().into()..range.end().into(), text: inner.to_owned() }
    });
    comment.collect()
}
