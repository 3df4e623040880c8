//! Messages of both sides: whatever the bytes are, they are read or refused; what is read says the same when written again.

use bytes::BytesMut;
use howdah_pg::TypeOid;
use howdah_pg::wire::{ErrorFields, Format, backend, frames, frontend, startup};

use super::{mutate, run};

#[test]
fn messages_are_read_or_refused() {
    let seeds = seeds();
    run("wire", <[u8]>::to_vec, |random| mutate::bytes(random, &seeds), |input| check(input));
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut add = |make: &dyn Fn(&mut BytesMut)| {
        let mut buffer = BytesMut::new();
        make(&mut buffer);
        seeds.push(buffer.to_vec());
    };
    add(&|it| frontend::put_parse(it, b"s", b"SELECT $1", &[TypeOid::INT4, TypeOid::INT8]));
    add(&|it| {
        let values = [Some(&b"1"[..]), None, Some(b"")];
        frontend::put_bind(
            it,
            b"p",
            b"s",
            &[Format::Text, Format::Binary, Format::Text],
            values,
            &[Format::Binary],
        );
    });
    add(&|it| frontend::put_describe(it, frontend::Target::Portal(b"p")));
    add(&|it| frontend::put_close(it, frontend::Target::Statement(b"s")));
    add(&|it| frontend::put_execute(it, b"p", 10));
    add(&|it| frontend::put_query(it, b"SELECT 1"));
    add(&frontend::put_sync);
    add(&|it| backend::put_data_row(it, [Some(&b"abc"[..]), None]));
    add(&|it| backend::put_command_complete(it, b"INSERT 0 5"));
    add(&|it| backend::put_error(it, &ErrorFields::notice("text")));
    add(&|it| backend::put_parameter_description(it, &[TypeOid::INT4]));
    add(&|it| backend::put_copy_in_response(it, Format::Text, &[Format::Text]));
    add(&|it| backend::put_notification(it, 7, b"channel", b"payload"));
    add(&|it| backend::put_parameter_status(it, b"TimeZone", b"UTC"));
    add(&|it| startup::session_startup(it, [("user", "a"), ("database", "b")]));
    seeds.push([0, 0, 0, 8, 4, 210, 22, 47].to_vec());
    seeds
}

fn check(input: &[u8]) {
    let mut buffer = input;
    while let Ok(Some(frame)) = frontend::frame(buffer) {
        assert!(frame.bytes.len() == frame.body.len() + 5 && frame.bytes.len() <= buffer.len());
        if let Ok(message) = frontend::parse(frame.tag, frame.body) {
            written_again(&message, frame.body);
        }
        buffer = &buffer[frame.bytes.len()..];
    }
    for frame in frames(input) {
        let Ok(frame) = frame else { break };
        let _ = backend::parse(frame.tag, frame.body);
        let _ = ErrorFields::parse(frame.body);
    }
    // As bodies of any message.
    for tag in b'A'..=b'z' {
        let _ = frontend::parse(tag, input);
        let _ = backend::parse(tag, input);
    }
    let _ = startup::startup(input);
    let _ = frontend::sasl_initial(input);
    let _ = backend::affected_rows(input);
}

fn written_again(message: &frontend::Message<'_>, body: &[u8]) {
    let mut again = BytesMut::new();
    match message {
        frontend::Message::Parse(it) => {
            let types: Vec<TypeOid> = it.parameter_types.iter().collect();
            frontend::put_parse(&mut again, it.statement, it.text, &types);
        }
        frontend::Message::Bind(it) => {
            let (formats, results): (Vec<_>, Vec<_>) =
                (it.parameter_formats.iter().collect(), it.result_formats.iter().collect());
            frontend::put_bind(&mut again, it.portal, it.statement, &formats, it.parameters.iter(), &results);
        }
        frontend::Message::Execute(it) => frontend::put_execute(&mut again, it.portal, it.max_rows),
        frontend::Message::Describe(it) => frontend::put_describe(&mut again, *it),
        frontend::Message::Close(it) => frontend::put_close(&mut again, *it),
        _ => return,
    }
    assert_eq!(&again[5..], body, "{message:?}");
}
