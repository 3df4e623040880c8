use bytes::BytesMut;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::startup::Startup;
use super::*;
use crate::{SqlState, TypeOid};

fn written(put: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut buf = BytesMut::new();
    put(&mut buf);
    buf.to_vec()
}

#[expect(clippy::needless_pass_by_value)]
fn check_frontend(bytes: &[u8], expected: Expect) {
    let text = match frontend::frame(bytes) {
        Ok(None) => "needs more".to_owned(),
        Ok(Some(frame)) => format!("{:?}", frontend::parse(frame.tag, frame.body)),
        Err(error) => format!("{error}"),
    };
    expected.assert_eq(&text);
}

#[expect(clippy::needless_pass_by_value)]
fn check_backend(put: impl FnOnce(&mut BytesMut), expected: Expect) {
    let bytes = written(put);
    let frame = frame(&bytes).expect("valid").expect("whole");
    assert_eq!(frame.bytes, bytes);
    expected.assert_eq(&format!("{:?}", backend::parse(frame.tag, frame.body).expect("parses")));
}

#[test]
fn frames_need_all_their_bytes() {
    let bytes = written(|buf| frontend::put_query(buf, b"SELECT 1"));
    for end in 0..bytes.len() {
        assert_eq!(frame(&bytes[..end]), Ok(None));
    }
    assert_eq!(frame(&bytes).map(|it| it.map(|it| it.tag)), Ok(Some(b'Q')));
    assert_eq!(frame_length(&bytes), Some(bytes.len()));
}

#[test]
fn frontend_messages() {
    check_frontend(
        &written(|buf| frontend::put_query(buf, b"SELECT 1")),
        expect!["Ok(Query { text: [83, 69, 76, 69, 67, 84, 32, 49] })"],
    );
    check_frontend(
        &written(|buf| frontend::put_parse(buf, b"s", b"q", &[TypeOid::INT4])),
        expect![
            "Ok(Parse(Parse { statement: [115], text: [113], parameter_types: Types([[0, 0, 0, 23]]) }))"
        ],
    );
    let values = [Some(b"1".as_slice()), None];
    let bind = written(|buf| {
        frontend::put_bind(buf, b"", b"s", &[Format::Text, Format::Binary], values, &[Format::Binary]);
    });
    check_frontend(
        &bind,
        expect![
            "Ok(Bind(Bind { portal: [], statement: [115], parameter_formats: Formats([[0, 0], [0, 1]]), parameters: Values { count: 2, bytes: [0, 0, 0, 1, 49, 255, 255, 255, 255] }, result_formats: Formats([[0, 1]]) }))"
        ],
    );
    check_frontend(
        &written(|buf| frontend::put_execute(buf, b"p", 10)),
        expect!["Ok(Execute(Execute { portal: [112], max_rows: 10 }))"],
    );
    check_frontend(
        &written(|buf| frontend::put_close(buf, frontend::Target::Statement(b"s"))),
        expect!["Ok(Close(Statement([115])))"],
    );
    check_frontend(
        &written(|buf| frontend::put_describe(buf, frontend::Target::Portal(b""))),
        expect!["Ok(Describe(Portal([])))"],
    );
    check_frontend(&written(frontend::put_sync), expect!["Ok(Sync)"]);
    check_frontend(
        &written(|buf| frontend::put_copy_fail(buf, "no")),
        expect!["Ok(CopyFail { message: [110, 111] })"],
    );
}

#[test]
fn a_bind_is_read_by_value_and_renamed() {
    let values = [Some(b"1".as_slice()), None, Some(b"")];
    let bytes = written(|buf| frontend::put_bind(buf, b"", b"s", &[Format::Binary], values, &[]));
    let frontend::Message::Bind(bind) = frontend::parse(b'B', &bytes[HEADER..]).expect("parses") else {
        panic!("not a Bind");
    };
    assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), values);
    assert_eq!(bind.parameters.get(1), Some(None));
    assert_eq!(bind.parameters.get(3), None);
    assert_eq!(bind.parameter_formats.of(2), Format::Binary);
    assert_eq!(bind.result_formats.of(2), Format::Text);
    let renamed = written(|buf| frontend::put_bind_renamed(buf, b"p", b"t", &bind));
    assert_eq!(renamed, written(|buf| frontend::put_bind(buf, b"p", b"t", &[Format::Binary], values, &[])));
}

#[test]
fn hostile_frontend_messages() {
    check_frontend(b"Q\0\0\0\x03", expect!["invalid message length"]);
    check_frontend(b"Q\x7f\xff\xff\xff", expect!["invalid message length"]);
    check_frontend(b"Q\x3f\xff\xff\xfe", expect!["needs more"]);
    check_frontend(b"S\0\0\x27\x11", expect!["invalid message length"]);
    check_frontend(b"\0", expect!["invalid frontend message type 0"]);
    check_frontend(b"Q\0\0\0\x04", expect!["Err(UnterminatedString)"]);
    check_frontend(b"Q\0\0\0\x07ab\0", expect!["Ok(Query { text: [97, 98] })"]);
    check_frontend(b"Q\0\0\0\x07a\0b", expect!["Err(TrailingData)"]);
    check_frontend(b"S\0\0\0\x05x", expect!["Err(TrailingData)"]);
    check_frontend(b"D\0\0\0\x06X\0", expect!["Err(InvalidDescribe(88))"]);
    check_frontend(b"C\0\0\0\x04", expect!["Err(InsufficientData)"]);
    check_frontend(b"P\0\0\0\x08\0\0\xff\xff", expect!["Err(InsufficientData)"]);
    check_frontend(b"B\0\0\0\x08\0\0\xff\xff", expect!["Err(InsufficientData)"]);
    check_frontend(b"B\0\0\0\x0a\0\0\0\0\xff\xff", expect!["Err(InsufficientData)"]);
    check_frontend(b"B\0\0\0\x0a\0\0\0\x01\0\x02", expect!["Err(InvalidFormat(2))"]);
    check_frontend(
        b"B\0\0\0\x10\0\0\0\x02\0\0\0\x01\0\0\0\0",
        expect!["Err(FormatCount { formats: 2, parameters: 0 })"],
    );
    check_frontend(b"B\0\0\0\x0e\0\0\0\0\0\x01\xff\xff\xff\xfe", expect!["Err(InsufficientData)"]);
    check_frontend(b"B\0\0\0\x0e\0\0\0\0\0\x01\x7f\xff\xff\xff", expect!["Err(InsufficientData)"]);
}

#[test]
fn backend_messages() {
    check_backend(backend::put_authentication_ok, expect!["Authentication(Ok)"]);
    check_backend(
        |buf| backend::put_authentication_sasl(buf, &["A", "B"]),
        expect!["Authentication(Sasl { mechanisms: [[65], [66]] })"],
    );
    check_backend(
        |buf| backend::put_ready_for_query(buf, backend::TransactionStatus::Failed),
        expect!["ReadyForQuery(Failed)"],
    );
    check_backend(
        |buf| backend::put_data_row(buf, [Some(b"1".as_slice()), None]),
        expect!["DataRow(Values { count: 2, bytes: [0, 0, 0, 1, 49, 255, 255, 255, 255] })"],
    );
    let column = backend::ColumnDescription {
        name: (*b"n").into(),
        table_oid: 1,
        column: 2,
        type_oid: TypeOid::TEXT,
        type_size: -1,
        typmod: -1,
        format: Format::Binary,
    };
    check_backend(
        |buf| backend::put_row_description(buf, &[column]),
        expect![
            "RowDescription([ColumnDescription { name: [110], table_oid: 1, column: 2, type_oid: TypeOid(25), type_size: -1, typmod: -1, format: Binary }])"
        ],
    );
    let key = CancelKey { pid: 7, secret: [1, 2, 3, 4].into() };
    check_backend(
        |buf| backend::put_backend_key_data(buf, &key),
        expect!["BackendKeyData(CancelKey { pid: 7, secret: [1, 2, 3, 4] })"],
    );
    check_backend(
        |buf| backend::put_copy_in_response(buf, Format::Text, &[Format::Text]),
        expect!["CopyInResponse(CopyFormats { overall: Text, columns: Formats([[0, 0]]) })"],
    );
    check_backend(
        |buf| backend::put_negotiate_protocol_version(buf, ["_pq_.x"].into_iter()),
        expect![
            "NegotiateProtocolVersion { version: 196608, unknown_options: [[95, 112, 113, 95, 46, 120]] }"
        ],
    );
    assert_eq!(backend::affected_rows(b"INSERT 0 5"), Some(5));
    assert_eq!(backend::affected_rows(b"BEGIN"), None);
    assert_eq!(backend::affected_rows(b"CREATE TABLE"), None);
}

#[test]
fn errors_keep_what_they_do_not_know() {
    let error = ErrorFields::error(SqlState::UNDEFINED_TABLE, "no")
        .with(Field::Hint, "do")
        .with(Field::Position, "8");
    let bytes = written(|buf| backend::put_error(buf, &error));
    assert_eq!(ErrorFields::parse(&bytes[HEADER..]), Ok(error.clone()));
    assert_eq!(error.position(), Some(8));

    let strange = b"SFEHLER\0VERROR\0C42P01\0?\xff\0Mrel_102008\0\0";
    let mut error = ErrorFields::parse(strange).expect("parses");
    assert_eq!((error.severity(), error.code()), (Severity::Error, SqlState::UNDEFINED_TABLE));
    error.set(Field::Message, "rel");
    let bytes = written(|buf| backend::put_error(buf, &error));
    assert_eq!(&bytes[HEADER..], b"SFEHLER\0VERROR\0C42P01\0?\xff\0Mrel\0\0");

    assert_eq!(ErrorFields::parse(b"SERROR\0\0"), Err(ProtocolError::InvalidSqlState));
    assert_eq!(ErrorFields::parse(b"SERROR\0"), Err(ProtocolError::InsufficientData));
}

#[track_caller]
#[expect(clippy::needless_pass_by_value)]
fn check_startup(bytes: &[u8], expected: Expect) {
    let text = match startup::startup(bytes) {
        Ok(Some((startup, used))) => format!("{startup:?}, {used} bytes"),
        Ok(None) => "needs more".into(),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&text);
}

#[test]
fn startup_packets() {
    check_startup(&written(startup::ssl_request), expect!["Ssl, 8 bytes"]);
    check_startup(b"\0\0\0\x08\x04\xd2\x16\x30more", expect!["GssEnc, 8 bytes"]);
    let key = CancelKey { pid: 7, secret: [1, 2, 3, 4].into() };
    check_startup(
        &written(|buf| startup::cancel_request(buf, &key)),
        expect!["Cancel(CancelKey { pid: 7, secret: [1, 2, 3, 4] }), 16 bytes"],
    );
    check_startup(
        &written(|buf| startup::session_startup(buf, [("user", "a"), ("database", "b")])),
        expect![[
            r#"Session(SessionStartup { major: 3, minor: 0, parameters: [("user", "a"), ("database", "b")] }), 27 bytes"#
        ]],
    );
    check_startup(
        b"\0\0\0\x08\0\x02\0\0",
        expect!["Session(SessionStartup { major: 2, minor: 0, parameters: [] }), 8 bytes"],
    );
    check_startup(b"\0\0", expect!["needs more"]);
    check_startup(b"\0\0\0\x07", expect!["invalid length of startup packet"]);
    check_startup(b"\0\0\x27\x15", expect!["invalid length of startup packet"]);
    check_startup(b"GET / HTTP/1.1\r\n", expect!["invalid length of startup packet"]);
    check_startup(
        b"\0\0\0\x08\0\x03\0\0",
        expect!["invalid startup packet layout: expected terminator as last byte"],
    );
    check_startup(
        b"\0\0\0\x0b\0\x03\0\0a\0b",
        expect!["invalid startup packet layout: expected terminator as last byte"],
    );
    check_startup(
        b"\0\0\0\x0a\0\x03\0\0\0x",
        expect!["invalid startup packet layout: expected terminator as last byte"],
    );
    check_startup(
        b"\0\0\0\x0d\0\x03\0\0a\0\xff\0\0",
        expect!["invalid byte sequence for encoding \"UTF8\" in startup packet"],
    );
    check_startup(b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x01", expect!["invalid length of startup packet"]);
}

/// PROPTEST_CASES asks for more cases.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2000), failure_persistence: None, ..default }
}

/// A run of messages of some types and sizes.
fn messages() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let tag = prop::sample::select(b"DDDTCZN".to_vec());
    prop::collection::vec((tag, prop::collection::vec(any::<u8>(), 0..40)), 0..20)
}

fn run_of(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    written(|buf| {
        for (tag, body) in messages {
            values::put_message(buf, *tag, |buf| buf.extend_from_slice(body));
        }
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_panic(tag: u8, body: Vec<u8>) {
        let _ = frontend::parse(tag, &body);
        let _ = backend::parse(tag, &body);
        let _ = frontend::sasl_initial(&body);
        let _ = startup::startup(&body);
        let _ = frontend::frame(&body);
        let _ = frames(&body).count();
    }

    /// Random tags rarely meet a known message, so here is each with random bodies of small numbers.
    #[test]
    fn no_small_numbers_panic(
        tag in prop::sample::select(b"QPBDESCFHdcfpXRKZTNIA123nstGWVv".to_vec()),
        body in prop::collection::vec(prop::sample::select(vec![0_u8, 0, 0, 1, 2, 4, b'S', b'P', 0xff]), 0..60),
    ) {
        let _ = frontend::parse(tag, &body);
        let _ = backend::parse(tag, &body);
    }

    #[test]
    fn what_parses_is_written_back(text in "[^\0]{0,30}", types: Vec<u32>, values: Vec<Option<Vec<u8>>>) {
        let types: Vec<_> = types.into_iter().map(TypeOid).collect();
        let bytes = written(|buf| frontend::put_parse(buf, b"", text.as_bytes(), &types));
        let Ok(frontend::Message::Parse(parse)) = frontend::parse(b'P', &bytes[HEADER..]) else {
            panic!("not a Parse")
        };
        prop_assert_eq!(parse.text, text.as_bytes());
        prop_assert!(parse.parameter_types.iter().eq(types));

        let row = written(|buf| backend::put_data_row(buf, values.iter().map(Option::as_deref)));
        let Ok(backend::Message::DataRow(row)) = backend::parse(b'D', &row[HEADER..]) else {
            panic!("not a DataRow")
        };
        prop_assert!(row.iter().eq(values.iter().map(Option::as_deref)));
    }

    #[test]
    fn frames_find_every_message(messages in messages(), cut in 0_usize..60) {
        let run = run_of(&messages);
        let mut found = frames(&run);
        let tags: Vec<_> = found.by_ref().map(|it| it.map(|it| it.tag)).collect::<Result<_, _>>()?;
        prop_assert!(found.rest().is_empty());
        prop_assert_eq!(tags, messages.iter().map(|it| it.0).collect::<Vec<_>>());

        let cut = cut.min(run.len());
        let mut found = frames(&run[..cut]);
        let bytes: usize = found.by_ref().map(|it| it.map_or(0, |it| it.bytes.len())).sum();
        prop_assert_eq!(bytes + found.rest().len(), cut);
    }

    /// However a run is cut into reads, the relay passes the rows up to the first other message.
    #[test]
    fn a_relay_passes_rows(messages in messages(), cuts in prop::collection::vec(1_usize..50, 1..200)) {
        let run = run_of(&messages);
        let rows = messages.iter().take_while(|it| it.0 == b'D').map(|it| HEADER + it.1.len()).sum::<usize>();
        let (mut relay, mut passed, mut end) = (Relay::default(), 0, 0);
        for cut in cuts.into_iter().chain([run.len()]) {
            end = run.len().min(end + cut);
            passed += relay.pass(&run[passed..end], |tag| tag == b'D')?;
        }
        prop_assert_eq!(passed, rows);
        prop_assert!(!relay.is_within_message());
    }
}

#[test]
fn an_old_cancel_key_is_read() {
    let Ok(Some((Startup::Cancel(key), 16))) =
        startup::startup(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02")
    else {
        panic!("not a cancel request");
    };
    assert_eq!(key.pid, 1);
}
