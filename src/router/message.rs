//! Writing protocol messages into a buffer. Nothing here reads.

/// Appends one message: the tag, the length that `fill` leads to, and what it wrote.
pub(crate) fn put(buffer: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    buffer.push(tag);
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    fill(buffer);
    let length = u32::try_from(buffer.len() - start).expect("messages stay below 1 GiB");
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

pub(crate) fn put_str(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(0);
}

pub(crate) fn query(buffer: &mut Vec<u8>, sql: &str) {
    put(buffer, b'Q', |it| put_str(it, sql));
}

pub(crate) fn parse(buffer: &mut Vec<u8>, name: &str, sql: &str, types: &[u32]) {
    put(buffer, b'P', |it| {
        put_str(it, name);
        put_str(it, sql);
        it.extend_from_slice(&(types.len() as u16).to_be_bytes());
        for oid in types {
            it.extend_from_slice(&oid.to_be_bytes());
        }
    });
}

/// Bind without parameters, results as text.
pub(crate) fn bind_plain(buffer: &mut Vec<u8>, portal: &str, statement: &str) {
    put(buffer, b'B', |it| {
        put_str(it, portal);
        put_str(it, statement);
        it.extend_from_slice(&[0; 6]);
    });
}

pub(crate) fn describe_statement(buffer: &mut Vec<u8>, name: &str) {
    put(buffer, b'D', |it| {
        it.push(b'S');
        put_str(it, name);
    });
}

pub(crate) fn describe_portal(buffer: &mut Vec<u8>, name: &str) {
    put(buffer, b'D', |it| {
        it.push(b'P');
        put_str(it, name);
    });
}

pub(crate) fn execute(buffer: &mut Vec<u8>, portal: &str, row_limit: i32) {
    put(buffer, b'E', |it| {
        put_str(it, portal);
        it.extend_from_slice(&row_limit.to_be_bytes());
    });
}

pub(crate) fn close_statement(buffer: &mut Vec<u8>, name: &str) {
    put(buffer, b'C', |it| {
        it.push(b'S');
        put_str(it, name);
    });
}

pub(crate) fn close_portal(buffer: &mut Vec<u8>, name: &str) {
    put(buffer, b'C', |it| {
        it.push(b'P');
        put_str(it, name);
    });
}

pub(crate) fn sync(buffer: &mut Vec<u8>) {
    put(buffer, b'S', |_| {});
}

pub(crate) fn flush(buffer: &mut Vec<u8>) {
    put(buffer, b'H', |_| {});
}

pub(crate) fn command_complete(buffer: &mut Vec<u8>, tag: &str) {
    put(buffer, b'C', |it| put_str(it, tag));
}

pub(crate) fn ready_for_query(buffer: &mut Vec<u8>, status: u8) {
    put(buffer, b'Z', |it| it.push(status));
}

pub(crate) fn parameter_status(buffer: &mut Vec<u8>, name: &str, value: &str) {
    put(buffer, b'S', |it| {
        put_str(it, name);
        put_str(it, value);
    });
}
