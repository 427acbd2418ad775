//! Who a user is, as far as this machine knows.

/// Who runs this command.
pub fn actor() -> String {
    let names = ["SERIN_ACTOR", "USER", "LOGNAME"];
    let name = names.into_iter().filter_map(|name| std::env::var(name).ok());
    let name = name.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
    name.unwrap_or_else(|| user(rustix::process::getuid().as_raw()))
}

/// The name of a user of this machine, or `uid N`.
pub fn user(uid: u32) -> String {
    let text = std::fs::read("/etc/passwd").unwrap_or_default();
    named(&String::from_utf8_lossy(&text), uid).unwrap_or_else(|| format!("uid {uid}"))
}

fn named(passwd: &str, uid: u32) -> Option<String> {
    let is_it = |line: &&str| line.split(':').nth(2).is_some_and(|id| id.parse() == Ok(uid));
    let name = passwd.lines().find(is_it)?.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n:x:7:7::/:\nmark:x:1000:1000::/srv/mark:\n";
        assert_eq!(named(passwd, 1000).as_deref(), Some("mark"));
        assert_eq!(named(passwd, 7), None);
        assert_eq!(named(passwd, 1), None);
        assert_eq!(user(0), "root");
        assert_eq!(user(u32::MAX - 7), "uid 4294967288");
    }
}
