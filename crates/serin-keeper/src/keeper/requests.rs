//! What askers ask.

use std::os::fd::BorrowedFd;

use super::Keeper;
use super::shutdown::{Phase, STOPPING};
use crate::listeners::BindError;
use crate::protocol::{ErrorCode, ListenerLine, ListenerReply, Reply, Request, RequestLine};

impl Keeper {
    /// One line of a connection.
    pub(super) fn request(&mut self, connection: u64, line: &[u8]) {
        if let Ok(ListenerLine { listener }) = serde_json::from_slice(line) {
            self.give_listener(connection, &listener.addr);
            return;
        }
        match serde_json::from_slice::<RequestLine>(line) {
            Ok(RequestLine { id, request }) => self.answer((connection, id), request),
            Err(error) => self.reply((connection, id_of(line)), unreadable(line, &error)),
        }
    }

    fn answer(&mut self, asker: (u64, u64), request: Request) {
        let reply = match request {
            Request::Spawn { process } => return self.spawn(asker, *process),
            Request::Watch { after } => return self.watch(asker, after),
            Request::Stop { instance, grace_ms } => self.stop_app(&instance, grace_ms),
            Request::List => self.list(),
            Request::Forget { instance } => self.forget(&instance),
            Request::Bind { addr } => self.bind(&addr),
            Request::Unbind { addr } => self.unbind(&addr),
            Request::Shutdown => {
                self.begin_shutdown();
                Reply::Ok
            }
        };
        self.reply(asker, reply);
    }

    fn watch(&mut self, asker: (u64, u64), after: u64) {
        let (oldest, newest) = self.journal.range();
        self.reply(asker, Reply::Watching { oldest, newest });
        if let Some(connection) = self.connection(asker.0) {
            connection.watch(asker.1, after);
        }
    }

    fn list(&self) -> Reply {
        let processes = self.processes.iter().map(|(name, process)| process.info(name)).collect();
        Reply::Processes { processes }
    }

    fn forget(&mut self, instance: &str) -> Reply {
        match self.processes.get(instance) {
            None => not_found(instance),
            Some(process) if process.is_live() => {
                refuse(ErrorCode::Busy, format!("{instance} still runs; stop it first"))
            }
            Some(_) => {
                self.processes.remove(instance);
                self.unsaved = true;
                Reply::Ok
            }
        }
    }

    fn bind(&mut self, addr: &str) -> Reply {
        self.unsaved = true;
        match self.listener(addr) {
            Ok((addr, _)) => Reply::Bound { addr },
            Err(BindError { code, message }) => Reply::Error { code, message },
        }
    }

    fn unbind(&mut self, addr: &str) -> Reply {
        self.unsaved |= self.listeners.forget(addr);
        Reply::Ok
    }

    fn give_listener(&mut self, connection: u64, addr: &str) {
        self.unsaved = true;
        let found = self.listener(addr).and_then(|(addr, socket)| {
            let copy = socket.try_clone_to_owned().map_err(|e| BindError {
                code: ErrorCode::Internal,
                message: format!("cannot hand over {addr}: {e}"),
            })?;
            Ok((addr, copy))
        });
        match found {
            Ok((addr, copy)) => {
                let line = ListenerReply::Ok { ok: true, addr };
                self.send_line(connection, &line, Some(copy));
            }
            Err(BindError { message, .. }) => {
                self.send_line(connection, &ListenerReply::Error { error: message }, None);
            }
        }
    }

    /// A socket that went missing when a keeper died may still be in the data plane's hands.
    /// While everything is stopped, nothing is held any more.
    fn listener(&mut self, addr: &str) -> Result<(String, BorrowedFd<'_>), BindError> {
        if self.phase != Phase::Running {
            let message = format!("{addr} is not held: {STOPPING}");
            return Err(BindError { code: ErrorCode::ShuttingDown, message });
        }
        if self.listeners.is_missing(addr) {
            self.take_back_listeners();
        }
        self.listeners.get(addr)
    }
}

pub(super) fn refuse(code: ErrorCode, message: String) -> Reply {
    Reply::Error { code, message }
}

pub(super) fn not_found(instance: &str) -> Reply {
    refuse(ErrorCode::NotFound, format!("there is no instance {instance}; `list` names all"))
}

/// The id of a line that is no request, if it has one.
fn id_of(line: &[u8]) -> u64 {
    let value: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    value.and_then(|value| value.get("id")?.as_u64()).unwrap_or(0)
}

/// Messages of the parser may quote values. A spawn may hold secrets, so of it nothing is quoted.
fn unreadable(line: &[u8], error: &serde_json::Error) -> Reply {
    let value: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    let op = value.as_ref().and_then(|value| value.get("op")?.as_str());
    let message = match (op, value.is_some()) {
        (Some("spawn"), _) => "a spawn without the documented form of `process`".to_owned(),
        (_, true) => format!("not a request: {error}"),
        (_, false) => format!("not a line of JSON: error at column {}", error.column()),
    };
    refuse(ErrorCode::BadRequest, message)
}
