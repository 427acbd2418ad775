//! YAML text to a tree that remembers where every value stands. The only file that names the
//! YAML library; the rest of the crate sees [`Node`].

use crate::{place::Span, problem::Problem};
use serde_saphyr::granit_parser::{
    self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span as EventSpan, StrInput,
    StructureStyle, Tag,
};
use std::{borrow::Cow, collections::BTreeMap};

/// Collections inside collections.
const MAX_DEPTH: usize = 64;
/// Values in one file, after aliases were filled in.
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
    /// This value and all inside it, for the budget of aliases.
    size: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// `plain` when not in quotes, so that its look decides its type.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// What was read: the documents that are not empty, and what was wrong.
pub(crate) struct Parsed {
    pub(crate) documents: Vec<Node>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads all documents of `text`, up to the first syntax error.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut builder = Builder::new(text);
    let mut documents = Vec::new();
    let mut outcome = Ok(true);
    while matches!(outcome, Ok(true)) {
        outcome = builder.document(&mut documents);
    }
    if let Err(problem) = outcome {
        builder.problems.push(*problem);
    }
    Parsed { documents, problems: builder.problems }
}

type Step<'s> = (Event<'s>, EventSpan);
type Read<T> = Result<T, Box<Problem>>;
/// What is in a collection, where it ends, and the number of values in it.
type Content = (Value, Span, usize);

struct Builder<'s> {
    text: &'s str,
    parser: Parser<'s, StrInput<'s>>,
    /// Finished anchored values; an alias inside its own anchor finds none.
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    depth: usize,
    problems: Vec<Problem>,
}

impl<'s> Builder<'s> {
    fn new(text: &'s str) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            disallow_directives: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Self { text, parser, anchors: BTreeMap::new(), nodes: 0, depth: 0, problems: Vec::new() }
    }

    /// Reads on to the end of the next document; false at the end of the text.
    fn document(&mut self, into: &mut Vec<Node>) -> Read<bool> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(false),
                // Only now is it whole: text that ends in an error is no document.
                Event::DocumentEnd => {
                    into.extend(root.filter(|root: &Node| !root.is_null()));
                    return Ok(true);
                }
                Event::StreamStart | Event::DocumentStart(..) => self.anchors.clear(),
                event => root = Some(self.node((event, span))?),
            }
        }
    }

    fn next(&mut self) -> Read<Step<'s>> {
        match self.parser.next_event() {
            Some(Ok(step)) => Ok(step),
            Some(Err(error)) => Err(Box::new(syntax_problem(self.text, &error))),
            None => Ok((Event::StreamEnd, EventSpan::default())),
        }
    }

    fn node(&mut self, (event, at): Step<'s>) -> Read<Node> {
        let span = self.span(&at);
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = self.is_plain(style, tag.as_deref(), &span);
                (scalar(text, plain, span), anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", &span);
                (self.nested(style, span, Self::list)?, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", &span);
                (self.nested(style, span, Self::map)?, anchor)
            }
            Event::Alias(id) => (self.alias(id, span)?, 0),
            _ => (scalar(Cow::Borrowed(""), true, span), 0),
        };
        self.count(1, &node.span)?;
        if anchor != 0 {
            // The kept copy counts as well: anchors inside anchors would multiply it.
            self.count(node.size, &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Called before values are copied, so that aliases of aliases cannot fill the memory.
    fn count(&mut self, more: usize, at: &Span) -> Read<()> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let text = format!("the file holds more than {MAX_NODES} values, aliases filled in");
        let problem = Problem::error("too-large", at.clone(), text);
        Err(Box::new(problem.hint("split it into several files")))
    }

    fn alias(&mut self, id: usize, span: Span) -> Read<Node> {
        let Some(size) = self.anchors.get(&id).map(|node| node.size) else {
            let text = "this alias stands inside the value it repeats";
            let problem = Problem::error("bad-alias", span, text).hint("write the value out");
            return Err(Box::new(problem));
        };
        self.count(size, &span)?;
        Ok(self.anchors[&id].clone())
    }

    fn nested(
        &mut self,
        style: StructureStyle,
        span: Span,
        read: fn(&mut Self) -> Read<Content>,
    ) -> Read<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Box::new(too_deep(span)));
        }
        let (value, end, size) = read(self)?;
        self.depth -= 1;
        let end = if matches!(style, StructureStyle::Flow) { end.end } else { end.start };
        Ok(Node { value, span: span.start..end.max(span.start), size: size + 1 })
    }

    fn list(&mut self) -> Read<Content> {
        let (mut items, mut size) = (Vec::new(), 0);
        loop {
            let step = self.next()?;
            if let Event::SequenceEnd | Event::StreamEnd = step.0 {
                return Ok((Value::List(items), self.span(&step.1), size));
            }
            let node = self.node(step)?;
            size += node.size;
            items.push(node);
        }
    }

    fn map(&mut self) -> Read<Content> {
        let (mut entries, mut size) = (Vec::new(), 0);
        // Key to where it was first written.
        let mut known = BTreeMap::new();
        loop {
            let step = self.next()?;
            if let Event::MappingEnd | Event::StreamEnd = step.0 {
                return Ok((Value::Map(entries), self.span(&step.1), size));
            }
            let key = self.node(step)?;
            let step = self.next()?;
            let value = self.node(step)?;
            size += key.size + value.size;
            entries.extend(self.entry(key, value, &mut known));
        }
    }

    /// One entry, unless its key is no word or was there before.
    fn entry(
        &mut self,
        key: Node,
        value: Node,
        known: &mut BTreeMap<String, Span>,
    ) -> Option<Entry> {
        let Value::Scalar { text, .. } = key.value else {
            let problem = Problem::error("bad-key", key.span, "a key must be one word")
                .hint("put text with brackets or braces in quotes");
            self.problems.push(problem);
            return None;
        };
        if let Some(first) = known.get(&text) {
            let message = format!("`{}` is written twice in one map", shown(&text));
            let problem = Problem::error("duplicate-key", key.span, message)
                .label("second time")
                .also(first.clone(), "first time")
                .hint("keep one of the two");
            self.problems.push(problem);
            return None;
        }
        known.insert(text.clone(), key.span.clone());
        Some(Entry { key: text, key_span: key.span, value })
    }

    fn is_plain(&mut self, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> bool {
        let forced = tag.and_then(Tag::core_suffix) == Some("str");
        self.refuse_tag(tag, "str", span);
        style == ScalarStyle::Plain && !forced
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, allowed: &str, span: &Span) {
        let Some(tag) = tag.filter(|tag| tag.core_suffix() != Some(allowed)) else { return };
        let message = format!("the tag `{}` has no meaning here", shown(&tag.original()));
        let problem = Problem::error("unknown-tag", span.clone(), message);
        self.problems.push(problem.hint("remove the tag; text that looks like a number is quoted"));
    }

    fn span(&self, at: &EventSpan) -> Span {
        let start = at.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = at.end.byte_offset().unwrap_or(start).clamp(start, self.text.len());
        start..end
    }
}

impl Node {
    /// Nothing written, or the word `null`.
    pub(crate) fn is_null(&self) -> bool {
        let nothing = |text: &str| matches!(text, "" | "~" | "null" | "Null" | "NULL");
        matches!(&self.value, Value::Scalar { text, plain: true } if nothing(text))
    }
}

fn scalar(text: Cow<'_, str>, plain: bool, span: Span) -> Node {
    Node { value: Value::Scalar { text: text.into_owned(), plain }, span, size: 1 }
}

/// A user's text as it may stand in a message: short, and on one line.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

fn too_deep(span: Span) -> Problem {
    let message = format!("more than {MAX_DEPTH} lists and maps inside each other");
    Problem::error("too-deep", span, message).hint("check the brackets and the indentation")
}

fn syntax_problem(text: &str, error: &ScanError) -> Problem {
    let at = offset(text, error);
    let span = at..text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(span);
    }
    let (message, hint) = words(error.kind());
    Problem::error("syntax", span, message).hint(hint)
}

/// Byte offset of a syntax error; some have none that can be trusted.
fn offset(text: &str, error: &ScanError) -> usize {
    let marker = error.marker();
    let by_char = || text.char_indices().nth(marker.index()).map_or(text.len(), |(at, _)| at);
    match marker.byte_offset() {
        Some(at) if text.is_char_boundary(at) => at,
        _ => by_char(),
    }
}

/// What went wrong, and the one thing to do.
fn words(kind: &ErrorKind) -> (String, &'static str) {
    if let Some((message, hint)) = bracket_words(kind) {
        return (message, hint);
    }
    let (message, hint) = scalar_words(kind)
        .or_else(|| layout_words(kind))
        .unwrap_or(("this is not valid YAML", "check the indentation, quotes and brackets here"));
    (message.into(), hint)
}

fn bracket_words(kind: &ErrorKind) -> Option<(String, &'static str)> {
    use ErrorKind as K;
    let close = "add the closing bracket";
    let missing = "add what is missing";
    Some(match kind {
        K::UnclosedFlowCollection { open } => (format!("this `{open}` is never closed"), close),
        K::MismatchedFlowCollectionEnd { open, close } => {
            let message = format!("`{close}` closes what `{open}` opened");
            (message, "use `[ ]` for lists and `{ }` for maps")
        }
        K::MisplacedFlowCollectionEnd => {
            ("this bracket closes nothing".into(), "remove it, or add the opening one")
        }
        K::UnexpectedEofFlowSequence | K::ExpectedFlowSequenceSeparator => {
            ("`,` or `]` is missing in this list".into(), missing)
        }
        K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator => ("`,` or `}` is missing in this map".into(), missing),
        K::UnexpectedCharacter { character } if character.is_control() => {
            let message =
                format!("the character `{}` cannot stand here", character.escape_default());
            (message, "remove it")
        }
        K::UnexpectedCharacter { character } => {
            let message = format!("a value cannot start with `{}`", character.escape_default());
            (message, "put the value in quotes")
        }
        _ => return None,
    })
}

fn scalar_words(kind: &ErrorKind) -> Option<(&'static str, &'static str)> {
    use ErrorKind as K;
    Some(match kind {
        K::UnclosedQuotedScalar => ("this quote is never closed", "add the closing quote"),
        K::DocumentIndicatorInQuotedScalar => {
            ("the document ends inside quotes", "close the quotes before the `---`")
        }
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidUnicodeEscape => {
            ("this is no escape YAML knows", "use single quotes for text with backslashes: 'a\\b'")
        }
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => (
            "there is text after the closing quote",
            "put the whole value in quotes, or remove what follows",
        ),
        K::UnknownAnchor => (
            "this alias names no anchor of the document",
            "define it before with `&name`, or put text that starts with `*` in quotes",
        ),
        K::MissingAnchorOrAliasName => {
            ("`&` and `*` start a name here, but none follows", "put the text in quotes")
        }
        K::DirectiveDisallowed => ("lines that start with `%` have no meaning here", "remove it"),
        _ => return None,
    })
}

fn layout_words(kind: &ErrorKind) -> Option<(&'static str, &'static str)> {
    use ErrorKind as K;
    Some(match kind {
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabAtBlockScalarStart
        | K::TabInPlainScalar => {
            ("a tab is used where YAML wants spaces", "replace the tab by spaces")
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement | K::MappingKeyNotAllowed => (
            "a `:` starts a new value here, in the middle of another",
            "put text with `: ` in quotes, or start a new line with the right indentation",
        ),
        K::BlockEntryInFlowCollection | K::BlockSequenceEntryNotAllowed => {
            ("a list with `-` cannot start here", "start it on its own line")
        }
        K::SimpleKeyExpected | K::InvalidSimpleKey | K::ExpectedBlockMappingKey => (
            "a key with `:` is expected here",
            "give the lines of one map the same indentation, and each key its `: `",
        ),
        K::ExpectedBlockSequenceEntry => (
            "a list item with `- ` is expected here",
            "give the items of one list the same indentation",
        ),
        K::InvalidQuotedScalarIndent => (
            "this line is still inside the quotes opened before it",
            "close the quotes; text over several lines is indented below its key",
        ),
        K::InvalidIndentation | K::InvalidFlowScalarIndent | K::InvalidBlockScalarIndent => (
            "the indentation does not fit the lines before",
            "give the lines of one map or list the same indentation",
        ),
        _ => return None,
    })
}
