use super::*;

const TEXT: &str = r#"# HELP jobs_total Jobs.
# TYPE jobs_total counter
jobs_total{queue="a",kind="x}y\"z"} 3 1700000000
jobs_total{queue="b"} 4
# TYPE lag gauge
lag 2.5
bare 7
# TYPE took histogram
took_bucket{le="1"} 8
took_bucket{le="+Inf"} 9
took_sum 1.5
took_count 9
# TYPE size summary
size{quantile="0.5"} 4
size_sum 12
broken NaN
endless +Inf
{nameless="1"} 3
cut{open="1
no_value
wrong value
 indented 1
"#;

#[test]
fn counters_and_gauges_are_summed_over_their_labels() {
    let wanted = [
        ("bare", 7.0),
        ("indented", 1.0),
        ("jobs_total", 7.0),
        ("lag", 2.5),
        ("size_sum", 12.0),
        ("took_count", 9.0),
        ("took_sum", 1.5),
    ];
    let wanted: Numbers = wanted.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
    assert_eq!(parse(TEXT), wanted);
}

#[test]
fn names_are_bounded() {
    let lines: Vec<String> = (0..MAX_NAMES + 9).map(|n| format!("n{n} 1")).collect();
    assert_eq!(parse(&lines.join("\n")).len(), MAX_NAMES);
}

#[test]
fn an_answer_is_whole_by_length_by_chunks_or_by_its_end() {
    let head = "HTTP/1.1 200 OK\r\nX: y\r\n";
    for (answer, wanted) in [
        ("HTTP/1.1 200 OK\r\nX".to_owned(), None),
        (format!("{head}Content-Length: 5\r\n\r\na 1\n"), None),
        (format!("{head}Content-Length: 4\r\n\r\na 1\n"), Some("a 1\n")),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\na \r\n2\r\n1\n\r\n"), None),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\na \r\n2\r\n1\n\r\n0\r\n\r\n"),
            Some("a 1\n"),
        ),
        (format!("{head}\r\na 1\n"), None),
    ] {
        assert_eq!(body(answer.as_bytes()).unwrap().as_deref(), wanted, "{answer}");
    }
    assert_eq!(rest(format!("{head}\r\na 1\n").as_bytes()).unwrap(), "a 1\n");
    assert!(rest(format!("{head}Content-Length: 5\r\n\r\na 1\n").as_bytes()).is_err());
    assert!(body(b"HTTP/1.1 503 No\r\n\r\n").is_err());
}
