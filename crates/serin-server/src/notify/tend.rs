//! Has notices told, and remembers what became of them.

use super::{Delivery, Notifier, Tried, Untold, deliver};
use crate::control::{Core, now};
use serin_core::{Notice, NotifyTarget, Service, ServiceName};

impl Core {
    /// Takes a notice on its way.
    pub(crate) fn notify(&mut self, service: &ServiceName, notice: &Notice) {
        self.notifier.take(service, notice, now());
        self.tend_notices();
    }

    /// Starts what is due, and writes down what became of the rest.
    pub(crate) fn tend_notices(&mut self) {
        for (service, target) in self.notifier.targets() {
            let known = self.executor.service(&service);
            if known.is_none_or(|known| known.spec.notify.iter().all(|one| one.name != target)) {
                self.forget_target(&service, &target);
            }
        }
        for (service, target, notice) in self.notifier.due(now()) {
            let known = self.executor.service(&service);
            let delivery = known.and_then(|service| delivery(service, &target, notice));
            if let Some(delivery) = delivery {
                self.notifier.start(delivery);
            }
        }
        self.store_notice_ends();
    }

    /// A try has ended.
    pub(crate) fn told_people(&mut self, tried: &Tried) {
        if let Err(why) = &tried.result {
            let Tried { service, target, .. } = tried;
            eprintln!("serin: {service}: `{target}` was not told: {why}");
        }
        self.notifier.ended(tried, now());
        self.tend_notices();
    }

    /// Targets of a service that are not told what they should be.
    pub(crate) fn untold(&self, service: &ServiceName) -> Vec<Untold> {
        self.notifier.untold(service)
    }

    fn forget_target(&mut self, service: &ServiceName, target: &str) {
        self.notifier.drop_lane(service, target);
        // What stays in the store is looked at again by the next controller.
        let _ = self.executor.store_mut().drop_notices(service, target);
    }

    /// What cannot be written now is written at the next look; until then it may be told again.
    fn store_notice_ends(&mut self) {
        if self.notifier.unstored.is_empty() || self.executor.trouble().is_some() {
            return;
        }
        if self.executor.store_mut().end_notices(&self.notifier.unstored).is_ok() {
            self.notifier.unstored.clear();
        }
    }
}

/// What is to be sent, if `service` still tells `target` anything.
pub(crate) fn delivery(service: &Service, target: &str, notice: Notice) -> Option<Delivery> {
    let wanted = |known: &&NotifyTarget| known.name == target;
    Some(Delivery {
        service: service.name.clone(),
        environment: service.spec.environment.clone(),
        target: service.spec.notify.iter().find(wanted)?.clone(),
        run: service.spec.run.clone(),
        notice,
    })
}

impl Notifier {
    fn start(&mut self, delivery: Delivery) {
        let place = (delivery.service.clone(), delivery.target.name.clone());
        let key = delivery.notice.key.clone();
        let Some(lane) = self.lanes.get_mut(&place) else { return };
        let ends = self.ends.clone();
        let task = tokio::spawn(async move {
            let result = deliver(&delivery).await;
            let (service, target) = (delivery.service, delivery.target.name);
            // Nobody listens when the control plane ends.
            let _ = ends.send(Tried { service, target, key, result });
        });
        lane.running = Some(task.abort_handle());
    }
}
