//! Where a program listens and how it calls its machine.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use libprocess::NodeConfig;
use mesos::flags::Flags;

use crate::settings::SettingsError;

/// The flags `ip`, `port`, `advertise_ip` and `advertise_port` over what the environment said; flags win.
///
/// The version that the node tells is set too.
///
/// # Errors
///
/// Names the flag whose value is no IPv4 address or no port.
pub fn node_config(flags: &Flags, mut config: NodeConfig) -> Result<NodeConfig, SettingsError> {
    config.ip = address(flags, "ip")?.or(config.ip);
    config.advertise_ip = address(flags, "advertise_ip")?.or(config.advertise_ip);
    if let Some(text) = flags.text("advertise_port") {
        let port: NonZeroU16 = text
            .parse()
            .map_err(|_| SettingsError::new("advertise_port", text, "expected a port from 1 to 65535"))?;
        config.advertise_port = Some(port.get());
    }
    config.port = flags.port("port");
    config.version = crate::version_info();
    Ok(config)
}

fn address(flags: &Flags, flag: &'static str) -> Result<Option<Ipv4Addr>, SettingsError> {
    let wrong = |text| SettingsError::new(flag, text, "expected an IPv4 address");
    flags
        .text(flag)
        .map(|text| text.parse().map_err(|_| wrong(text)))
        .transpose()
}

/// Name that this machine presents itself under: the flag `hostname`, the machine's name unless `hostname_lookup` is
/// off, or the address as text.
#[must_use]
pub fn hostname(flags: &Flags, ip: Ipv4Addr) -> String {
    if let Some(name) = flags.text("hostname") {
        return name.to_owned();
    }
    if !flags.bool("hostname_lookup") {
        return ip.to_string();
    }
    if ip.is_loopback() {
        return "localhost".to_owned();
    }
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| ip.to_string())
}
