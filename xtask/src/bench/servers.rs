//! The servers that take part: an upstream, nginx and haproxy as proxies, and Serin's data plane.
//! Each is pinned to a core and ends when its [`Server`] is dropped.

use crate::failure::{Doing, Failure, Result};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Proxies run here.
pub const PROXY_CORE: usize = 0;
/// Load and upstream run here.
pub const LOAD_CORE: usize = 1;

const START_DEADLINE: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts `command` on one core and waits until `ready` says so.
    pub fn start(command: &Command, core: usize, ready: impl Fn() -> bool) -> Result<Self> {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &core.to_string()]).arg(command.get_program()).args(command.get_args());
        Self::spawn(pinned, &program_name(command), ready)
    }

    /// The same, on any core.
    pub fn start_anywhere(command: Command, ready: impl Fn() -> bool) -> Result<Self> {
        let name = program_name(&command);
        Self::spawn(command, &name, ready)
    }

    fn spawn(mut command: Command, name: &str, ready: impl Fn() -> bool) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().doing(|| format!("starting {name}"))?;
        let mut server = Self { child };
        let started = Instant::now();
        while !ready() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(Failure::new(format!("{name} ended at once with {status}")));
            }
            if started.elapsed() > START_DEADLINE {
                return Err(Failure::new(format!("{name} is not ready after {START_DEADLINE:?}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Its process; what it forked is below it. `taskset` has become the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that nginx ends its workers too; std knows only SIGKILL.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn program_name(command: &Command) -> String {
    Path::new(command.get_program()).display().to_string()
}

/// An address on the loopback that nobody listens on just now.
pub fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing(|| "finding a port".to_owned())?;
    listener.local_addr().doing(|| "finding a port".to_owned())
}

/// Whether somebody listens on `address`.
pub fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// Two instances of each of two versions, as one upstream server with four ports.
pub struct Upstream {
    /// Instances of the version with 90 % of the traffic.
    pub stable: [SocketAddr; 2],
    /// Instances of the other.
    pub candidate: [SocketAddr; 2],
    _server: Server,
}

impl Upstream {
    /// Starts nginx with `/` (a few bytes) and `/10k` (10 KB) on the load core.
    pub fn start(folder: &Path) -> Result<Self> {
        let addresses = [free_address()?, free_address()?, free_address()?, free_address()?];
        let [a, b, c, d] = addresses;
        write(&folder.join("10k"), &"x".repeat(10_240))?;
        let listens_on = addresses.map(|address| format!("listen {address};")).join(" ");
        let root = folder.display();
        let site = format!(
            "server {{ {listens_on} root {root}; open_file_cache max=16;\n\
             location = / {{ return 200 'ok\\n'; }} location = /10k {{ }} }}"
        );
        let server = nginx(folder, "upstream", &site, LOAD_CORE, a)?;
        Ok(Self { stable: [a, b], candidate: [c, d], _server: server })
    }
}

/// nginx splitting 90/10 for each request with `split_clients`, with the headers a reverse proxy
/// is expected to set.
pub fn nginx_proxy(folder: &Path, upstream: &Upstream) -> Result<(Server, SocketAddr)> {
    let address = free_address()?;
    let pool = |name: &str, [a, b]: [SocketAddr; 2]| {
        format!(
            "upstream {name} {{ server {a}; server {b}; keepalive 128; \
             keepalive_requests 1000000000; }}\n"
        )
    };
    let site = format!(
        "{}{}split_clients \"$connection.$connection_requests\" $arm {{ 90% stable; * candidate; }}\n\
         server {{ listen {address}; location / {{ proxy_pass http://$arm; proxy_http_version 1.1;\n\
         proxy_set_header Connection ''; proxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;\n\
         }} }}",
        pool("stable", upstream.stable),
        pool("candidate", upstream.candidate),
    );
    Ok((nginx(folder, "nginx", &site, PROXY_CORE, address)?, address))
}

fn nginx(folder: &Path, name: &str, site: &str, core: usize, ready: SocketAddr) -> Result<Server> {
    let own = folder.join(name);
    fs::create_dir_all(&own).doing(|| format!("making {}", own.display()))?;
    let scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};", own.display()))
        .join(" ");
    // Started by root, nginx would serve as a user who may not read our folder.
    let user = if crate::ci::is_root() { "user root; " } else { "" };
    let text = format!(
        "{user}daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; {scratch} keepalive_requests 1000000000; keepalive_timeout 600s;\n\
         {site}\n}}\n",
        own.display()
    );
    let file = own.join("nginx.conf");
    write(&file, &text)?;
    let mut command = Command::new(program("nginx")?);
    command.arg("-p").arg(&own).arg("-e").arg(own.join("start.log")).arg("-c").arg(&file);
    Server::start(&command, core, || listens(ready))
}

/// haproxy splitting 90/10 by the weights of its servers.
pub fn haproxy_proxy(folder: &Path, upstream: &Upstream) -> Result<(Server, SocketAddr)> {
    let address = free_address()?;
    let servers = |name: &str, [a, b]: [SocketAddr; 2], weight: u32| {
        format!(" server {name}1 {a} weight {weight}\n server {name}2 {b} weight {weight}\n")
    };
    let text = format!(
        "global\n nbthread 1\n maxconn 8192\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 600s\n timeout server 600s\n\
         frontend users\n bind {address}\n option forwardfor\n default_backend shop\n\
         backend shop\n balance roundrobin\n http-reuse always\n{}{}",
        servers("stable", upstream.stable, 45),
        servers("candidate", upstream.candidate, 5),
    );
    let file = folder.join("haproxy.cfg");
    write(&file, &text)?;
    let mut command = Command::new(program("haproxy")?);
    command.arg("-db").arg("-q").arg("-f").arg(&file);
    Ok((Server::start(&command, PROXY_CORE, || listens(address))?, address))
}

fn program(name: &str) -> Result<PathBuf> {
    crate::command::find(name).ok_or_else(|| Failure::new(format!("{name} is not there")))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing(|| format!("writing {}", path.display()))
}

/// A folder of our own below the target folder, emptied first.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let folder = crate::root::target().join("bench").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    Ok(folder)
}
