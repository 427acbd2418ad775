//! Waiting for events and handing them out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Keeper, until};
use crate::signals;

/// How long accepting rests when there are no descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Most connections accepted in one turn.
const ACCEPTS: usize = 64;

/// Whose descriptor is ready.
pub(super) enum Token {
    Stop,
    Replace,
    Orphans,
    Accept,
    Connection(u64, PollFlags),
    Launch(String),
    Pump(String),
    Exit(String),
}

type Interest<'a> = (Token, BorrowedFd<'a>, PollFlags);

impl Keeper {
    /// Sleeps until something is ready or due. In this order: what was asked, launches before
    /// exits (a failed launch is both).
    pub(super) fn wait(&self) -> io::Result<Vec<Token>> {
        let mut interests = Vec::new();
        self.add_signals(&mut interests);
        self.add_connections(&mut interests);
        self.add_processes(&mut interests);
        let mut fds: Vec<PollFd<'_>> =
            interests.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        match poll(&mut fds, self.timeout().as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        let tokens = interests.into_iter().map(|(token, _, _)| token);
        Ok(tokens.zip(ready).filter_map(|(token, flags)| woken(token, flags)).collect())
    }

    fn timeout(&self) -> Option<Timespec> {
        self.next_deadline().and_then(|deadline| Timespec::try_from(until(deadline)).ok())
    }

    fn add_signals<'a>(&'a self, interests: &mut Vec<Interest<'a>>) {
        let input = PollFlags::IN;
        interests.push((Token::Stop, self.signals.stop.as_fd(), input));
        interests.push((Token::Replace, self.signals.replace.as_fd(), input));
        if let Some(orphans) = &self.signals.orphans {
            interests.push((Token::Orphans, orphans.as_fd(), input));
        }
        if self.accept_again.is_none() {
            interests.push((Token::Accept, self.socket.as_fd(), input));
        }
    }

    fn add_connections<'a>(&'a self, interests: &mut Vec<Interest<'a>>) {
        for (id, connection) in &self.connections {
            let flags = connection.interest();
            interests.push((Token::Connection(*id, flags), connection.socket(), flags));
        }
    }

    fn add_processes<'a>(&'a self, interests: &mut Vec<Interest<'a>>) {
        for (name, process) in &self.processes {
            if let Some(launch) = &process.launch {
                let output =
                    if launch.wants_to_send() { PollFlags::OUT } else { PollFlags::empty() };
                let flags = PollFlags::IN | output;
                interests.push((Token::Launch(name.clone()), launch.socket().as_fd(), flags));
            }
        }
        for (name, pump) in &self.pumps {
            interests.push((Token::Pump(name.clone()), pump.reader().as_fd(), PollFlags::IN));
        }
        for (name, process) in &self.processes {
            if let Some(pidfd) = &process.pidfd {
                interests.push((Token::Exit(name.clone()), pidfd.as_fd(), PollFlags::IN));
            }
        }
    }

    pub(super) fn handle(&mut self, token: Token) {
        match token {
            Token::Stop => self.stop_signals(signals::take(&self.signals.stop)),
            Token::Replace => {
                signals::take(&self.signals.replace);
                self.replace_proxy();
            }
            Token::Orphans => self.reap_orphans(),
            Token::Accept => self.accept(),
            Token::Connection(id, flags) => self.connection_ready(id, flags),
            Token::Launch(name) => self.launch_ready(&name),
            Token::Pump(name) => self.pump_ready(&name),
            Token::Exit(name) => self.process_ended(&name),
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            match self.socket.accept() {
                Ok((stream, _)) => self.connected(stream),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.accept_again = Some(Instant::now() + ACCEPT_REST);
                    return;
                }
            }
        }
    }
}

/// A connection is told what it is ready for, the others only that they are.
fn woken(token: Token, ready: PollFlags) -> Option<Token> {
    if ready.is_empty() {
        return None;
    }
    match token {
        Token::Connection(id, _) => Some(Token::Connection(id, ready)),
        other => Some(other),
    }
}
