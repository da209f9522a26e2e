//! A line protocol over TCP: ask, read the answer, measure the round trip. With `UDP_ADDR`, the same with a datagram.
//!
//! ```sh
//! squall target --tcp 127.0.0.1:7000 --udp 127.0.0.1:7000
//! squall run target/journeys/tcp-lines.wasm --env TCP_ADDR=127.0.0.1:7000 --env UDP_ADDR=127.0.0.1:7000
//! ```

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::metric::{Counter, Trend};
use squall_sdk::socket::{TcpSocket, UdpSocket};
use squall_sdk::{Error, check, env, env_or, journey, vu};

static ROUND_TRIP: Trend = Trend::time("line_round_trip");
static LOST: Counter = Counter::new("datagrams_lost");

// Read once for each virtual user, not for each iteration.
static TCP: LazyLock<String> = LazyLock::new(|| env_or("TCP_ADDR", "127.0.0.1:7000"));
static UDP: LazyLock<Option<String>> = LazyLock::new(|| env("UDP_ADDR"));

fn visit() -> Result<(), Error> {
    // The connection is opened once for each virtual user and waits for the next iteration.
    let mut server = TcpSocket::to(&TCP).name("lines").timeout(Duration::from_secs(2)).keep().connect()?;
    for item in 1..=5 {
        let question = format!("GET item:{}:{item}", vu::id());
        server.send(format!("{question}\r\n"))?;
        let answer = server.read_line()?;
        check!("the answer is whole", answer.as_deref() == Some(&*question));
        ROUND_TRIP.add(server.round_trip());
    }
    if let Some(address) = &*UDP {
        let mut socket = UdpSocket::to(address).name("datagrams").timeout(Duration::from_millis(200)).bind()?;
        socket.send("hello")?;
        match socket.receive() {
            Ok(answer) => drop(check!("the datagram came back", answer == b"hello")),
            Err(Error::Timeout) => LOST.add(1),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

journey!(visit);
