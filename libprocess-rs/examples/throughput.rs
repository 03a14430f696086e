//! Measures messages and requests between two OS processes on loopback.
//!
//! `throughput [COUNT [BYTES [SENDERS]]]` starts itself a second time as the receiver and sends COUNT messages of BYTES
//! from SENDERS processes. `throughput receive BYTES` is the second one: it prints its address and counts until its
//! standard input ends.

#[path = "../benches/load/mod.rs"]
#[allow(dead_code, reason = "benches use the rest")]
mod load;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

use libprocess::{ProcessId, Upid};
use load::{Blaster, Counter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    if arguments.first().is_some_and(|first| first == "receive") {
        return receive(usize::try_from(number(1, 0)?)?);
    }
    send(number(0, 5_000_000)?, usize::try_from(number(1, 0)?)?, number(2, 1)?)
}

fn receive(body_bytes: usize) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = load::runtime();
    let node = runtime.block_on(load::node(1));
    let counter = node.spawn(ProcessId::Exact("counter"), move || {
        Counter::new(load::window(body_bytes) / 2)
    });
    println!("{}", counter.pid());
    let _ = std::io::stdin().read(&mut [0])?;
    runtime.block_on(node.stop());
    Ok(())
}

/// Counts the grants that come back, which say how many messages have arrived.
fn send(count: u64, body_bytes: usize, senders: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut receiver = Command::new(std::env::current_exe()?)
        .args(["receive", &body_bytes.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(output) = receiver.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let to: Upid = line.trim().parse()?;
    let runtime = load::runtime();
    let node = runtime.block_on(load::node(1));
    let blasters: Vec<_> = (0..senders)
        .map(|_| {
            let to = to.clone();
            node.spawn(ProcessId::Numbered("blaster"), move || Blaster::new(to, body_bytes))
        })
        .collect();
    let each = (count / senders / load::window(body_bytes) + 1) * load::window(body_bytes);
    let started = Instant::now();
    for blaster in &blasters {
        Blaster::start(blaster, each);
    }
    runtime.block_on(async {
        for blaster in &blasters {
            Blaster::wait_granted(blaster).await;
        }
    });
    let elapsed = started.elapsed();
    println!(
        "{senders} senders, {body_bytes} bytes: {}",
        load::rate(each * senders, elapsed)
    );
    runtime.block_on(node.stop());
    drop(receiver.stdin.take());
    receiver.wait()?;
    Ok(())
}
