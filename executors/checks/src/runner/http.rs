//! Asks a web server.

use std::io;
use std::time::Duration;

use ureq::tls::TlsConfig;

use crate::result::Found;

/// Most redirects that are followed.
const REDIRECTS_MAX: u32 = 50;

/// Sends `GET` and reads the answer to its end, on a thread that may wait.
///
/// Whoever drops the future leaves that thread behind until the server answers or the time is over.
pub(crate) async fn ask(url: String, timeout: Option<Duration>) -> Found {
    let asked = tokio::task::spawn_blocking(move || get(&url, timeout)).await;
    match asked {
        Ok(Ok(status)) => Found::Answer(status),
        Ok(Err(error)) => Found::Failed(error),
        Err(_) => Found::Failed("the request was given up".to_owned()),
    }
}

fn get(url: &str, timeout: Option<Duration>) -> Result<u16, String> {
    // Tasks serve certificates of their own making for names that the loopback address does not have.
    let tls = TlsConfig::builder().disable_verification(true).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .timeout_global(timeout)
        .tls_config(tls)
        // The task is on this host; a proxy of the environment is not meant for it.
        .proxy(None)
        .build()
        .into();
    let mut answer = agent.get(url).call().map_err(|error| error.to_string())?;
    // An answer that breaks off is none.
    io::copy(&mut answer.body_mut().as_reader(), &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}
