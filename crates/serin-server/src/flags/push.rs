//! Tells the data plane what flags there are: each change as it comes, the whole table whenever it
//! may have missed one. What it confirmed last is there for everybody to look at. What it counts is
//! asked for over a connection of its own: of many flags that takes a while, and no kill waits.

use crate::control::{Core, Question};
use serin_edge::{Revision, Upsert};
use serin_local::FlagAddress;
use serin_local::client::{Client, ClientError};
use serin_local::wire::{FlagsReply, Request};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// Name of the data plane's socket in the data directory.
const SOCKET: &str = "proxy.sock";
/// Time between two tries to connect: doubled from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Time between two looks at whether it is there, and at what clients have asked for.
const LOOK: Duration = Duration::from_secs(1);
/// Time it has for an answer: compiling 10 000 flags takes a good part of a second.
const ANSWER: Duration = Duration::from_secs(10);
/// Changes that are told one by one; more are told as a whole table.
const SINGLY: usize = 32;

/// What is to be told.
#[derive(Debug)]
pub(crate) enum Tell {
    /// One flag was changed.
    One(Box<Upsert>),
    /// Anything may have changed.
    All,
}

/// What the data plane said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// What it holds, if it is there.
    pub(crate) revision: Option<Revision>,
    /// Whether that is on its disk.
    pub(crate) durable: bool,
    /// What it complains of: a full disk, an address that is taken, flags it cannot read.
    pub(crate) trouble: Option<String>,
}

impl Told {
    /// Whether everything up to this revision is held on its disk.
    pub(crate) fn has(&self, revision: Revision) -> bool {
        self.durable && self.revision.is_some_and(|held| held >= revision)
    }
}

/// How to tell the data plane, and what it said.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) tells: mpsc::UnboundedSender<Tell>,
    pub(crate) told: watch::Receiver<Told>,
}

/// Starts to tell. Ends when nobody has anything to tell any more.
pub(crate) fn start(
    data: &std::path::Path,
    questions: &mpsc::Sender<Question>,
    address: FlagAddress,
) -> Push {
    let (tells, inbox) = mpsc::unbounded_channel();
    let (said, told) = watch::channel(Told::default());
    let questions = questions.downgrade();
    let owner = Owner { questions, counting: Arc::default() };
    let counting = Counting { socket: data.join(SOCKET), owner: owner.clone() };
    tokio::spawn(counting.run());
    tokio::spawn(
        Task { socket: data.join(SOCKET), owner, inbox, said, address, first: None }.run(),
    );
    Push { tells, told }
}

/// The owner of all state. Weak: it ends when nobody else can ask.
#[derive(Clone)]
struct Owner {
    questions: mpsc::WeakSender<Question>,
    /// Held from the question to the owner's hearing of it: counters must not seem to fall.
    counting: Arc<Mutex<()>>,
}

impl Owner {
    /// Asks it; none when it has ended.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let boxed: Question = Box::new(move |core| {
            let _ = reply.send(question(core));
        });
        self.questions.upgrade()?.send(boxed).await.ok()?;
        answer.await.ok()
    }

    /// Has it take in what clients asked for; none when it has ended.
    async fn count(&self, client: &mut Client) -> Result<Option<()>, ClientError> {
        let _counting = self.counting.lock().await;
        let counts = client.flag_counts().await?;
        Ok(self.ask(move |core| core.flags_counted(&counts)).await)
    }
}

/// Asks what clients have asked for.
struct Counting {
    socket: PathBuf,
    owner: Owner,
}

impl Counting {
    async fn run(self) {
        while self.owner.questions.upgrade().is_some() {
            sleep(LOOK).await;
            if let Ok(client) = Client::connect(&self.socket).await {
                // Whatever broke it: the next one begins with everything.
                let _ = self.listen(client.with_timeout(ANSWER)).await;
            }
        }
    }

    async fn listen(&self, mut client: Client) -> Result<(), ClientError> {
        while self.owner.count(&mut client).await?.is_some() {
            sleep(LOOK).await;
        }
        Ok(())
    }
}

struct Task {
    socket: PathBuf,
    owner: Owner,
    inbox: mpsc::UnboundedReceiver<Tell>,
    said: watch::Sender<Told>,
    /// Where apps are told to ask, as long as somebody answers there.
    address: FlagAddress,
    /// The first address of the table that was sent last.
    first: Option<SocketAddr>,
}

impl Task {
    async fn run(mut self) {
        let mut wait = RETRY.0;
        while !self.inbox.is_closed() {
            if let Ok(client) = Client::connect(&self.socket).await {
                wait = RETRY.0;
                // Whatever broke it: the table is sent anew to whoever is there next.
                if self.serve(client.with_timeout(ANSWER)).await.is_ok() {
                    return;
                }
                self.said.send_modify(|told| told.revision = None);
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Tells until the connection breaks; `Ok` when there is nothing to tell any more.
    async fn serve(&mut self, mut client: Client) -> Result<(), ClientError> {
        let mut whole = true;
        // Before anything is answered: what was counted for another control plane is known.
        self.owner.count(&mut client).await?;
        loop {
            // What did not get there goes again with the next change, or after a while.
            if whole {
                let Some(table) = self.owner.ask(Core::flag_table).await else { return Ok(()) };
                self.first = table.listen.first().copied();
                let reply = client.flags(&table).await?;
                whole = !self.hear(reply, table.revision);
            }
            match timeout(LOOK, self.inbox.recv()).await {
                Ok(None) => return Ok(()),
                Ok(Some(_)) if whole => {}
                Ok(Some(first)) => whole = self.tell(&mut client, first).await?,
                Err(_) => drop(client.ask(&Request::Ping).await?),
            }
        }
    }

    /// Tells what waits; whether the whole table has to follow.
    async fn tell(&mut self, client: &mut Client, first: Tell) -> Result<bool, ClientError> {
        let mut waiting = vec![first];
        while let Ok(more) = self.inbox.try_recv() {
            waiting.push(more);
        }
        if waiting.len() > SINGLY {
            return Ok(true);
        }
        for tell in waiting {
            let Tell::One(change) = tell else { return Ok(true) };
            let reply = client.flag_upsert(&change).await?;
            if !self.hear(reply, change.revision) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remembers what it said; whether it has what it was told. A table that it cannot read is not
    /// sent again until there is another one.
    fn hear(&self, reply: FlagsReply, sent: Revision) -> bool {
        let (told, done) = match reply {
            FlagsReply::Held { revision, durable, error } => {
                (Told { revision: Some(revision), durable, trouble: error }, durable)
            }
            // It came back with what it was told before.
            FlagsReply::Stale { have } if have.epoch == sent.epoch && have >= sent => {
                (Told { revision: Some(have), durable: true, trouble: None }, true)
            }
            FlagsReply::Stale { have } => {
                let newer =
                    format!("the data plane follows a newer control plane ({})", have.epoch);
                let trouble = (have.epoch > sent.epoch).then_some(newer);
                (Told { revision: Some(have), durable: false, trouble }, false)
            }
            FlagsReply::Refused(why) => {
                eprintln!("serin: the data plane does not take the flags: {why}");
                let revision = self.said.borrow().revision;
                (Told { revision, durable: false, trouble: Some(why) }, true)
            }
        };
        // An address that is taken is answered by somebody else.
        let open = told.trouble.is_none() && told.revision.is_some();
        self.address.set(self.first.filter(|_| open));
        self.said.send_replace(told);
        done
    }
}
