//! What every command has at hand.

use crate::cli::Global;
use crate::client::{Client, escaped};
use crate::failure::Failure;
use crate::printer::{Channel, Printer};
use crate::render::Frame;
use serin_server::api::view::{ServiceView, Services};

/// The server and the output.
#[derive(Debug)]
pub struct Context<'p> {
    /// Asks the server.
    pub client: Client,
    /// Says what is to be said.
    pub printer: &'p Printer,
}

impl<'p> Context<'p> {
    /// For what the global flags say.
    pub fn new(global: &Global, printer: &'p Printer) -> Result<Self, Failure> {
        let client = Client::new(global)?;
        printer.trace(&format!("server: {}", client.endpoint()));
        Ok(Self { client, printer })
    }

    /// What the page of stdout looks like.
    pub fn frame(&self) -> Frame {
        Frame::of(self.printer, Channel::Out)
    }

    /// The service that was named, or the only one.
    pub async fn service(&self, named: Option<String>) -> Result<String, Failure> {
        match named {
            Some(name) => Ok(name),
            None => only(&self.services().await?, |_| true),
        }
    }

    /// The service that was named, or the only one, or the only one with a rollout.
    pub async fn moving_service(&self, named: Option<String>) -> Result<String, Failure> {
        let Some(name) = named else {
            let services = self.services().await?;
            return only(&services, |s| s.rollout.is_some()).or_else(|_| only(&services, |_| true));
        };
        Ok(name)
    }

    /// All services.
    pub async fn services(&self) -> Result<Vec<ServiceView>, Failure> {
        Ok(self.client.get::<Services>("/api/v1/services").await?.services)
    }

    /// One service.
    pub async fn view(&self, service: &str) -> Result<ServiceView, Failure> {
        self.client.get(&path_of(service, "")).await
    }
}

/// Path of a service's document.
pub fn path_of(service: &str, rest: &str) -> String {
    format!("/api/v1/services/{}{rest}", escaped(service))
}

/// A query of those parameters that are given.
pub fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| {
        value.as_ref().map(|value| format!("{name}={}", escaped(value)))
    });
    let given: Vec<_> = given.collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

fn only(services: &[ServiceView], which: impl Fn(&ServiceView) -> bool) -> Result<String, Failure> {
    let mut chosen = services.iter().filter(|service| which(service)).map(|s| s.name.to_string());
    match (chosen.next(), chosen.next()) {
        (Some(name), None) => Ok(name),
        _ if services.is_empty() => Err(Failure::usage("no-service", "there is no service yet")
            .hint("make one with `serin apply -f serin.yaml`")),
        _ => {
            let names: Vec<_> = services.iter().map(|s| s.name.as_str()).collect();
            let message = format!("which of the {} services is meant?", services.len());
            Err(Failure::usage("which-service", message)
                .hint(format!("name one of: {}", names.join(", "))))
        }
    }
}
