//! The plainest HTTP client there is: what is tested here must not be hidden by a clever one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What came back.
pub struct Reply {
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the connection broke before the end.
    pub broken: bool,
}

impl Reply {
    pub fn status(&self) -> Option<u16> {
        self.head.split_whitespace().nth(1)?.parse().ok()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// One request on a connection of its own.
pub fn send(port: u16, request: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
    let mut head = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    // A server that stops listening is what some tests are about.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).is_ok();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let body = answer.split_off(end);
    let mut reply = Reply {
        head: String::from_utf8_lossy(&answer).into_owned(),
        body,
        broken: !ended || answer.is_empty(),
    };
    let stated = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
    reply.broken |= !request.starts_with("HEAD") && stated.is_some_and(|stated| stated != reply.body.len());
    reply
}
