//! Users and groups from `/etc/passwd` and `/etc/group`.
//!
//! Directory services (NSS) are not asked: the trampoline must not load anything.

/// The identity an app runs with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one included.
    pub(crate) groups: Vec<u32>,
}

/// Finds a user by name or number in the system's files.
pub(crate) fn lookup(user: &str) -> Result<Account, String> {
    let read = |path| std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"));
    find(user, &read("/etc/passwd")?, &read("/etc/group")?)
        .ok_or_else(|| format!("user {user} is not in /etc/passwd; create it or name another"))
}

fn find(user: &str, passwd: &str, group: &str) -> Option<Account> {
    let mut entries = passwd.lines().filter_map(passwd_entry);
    let (name, uid, gid) =
        entries.find(|(name, uid, _)| *name == user || uid.to_string() == user)?;
    let mut groups: Vec<u32> =
        group.lines().filter_map(|line| group_of_member(line, name)).collect();
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    Some(Account { uid, gid, groups })
}

/// `name:password:uid:gid:...`
fn passwd_entry(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((name, uid, gid))
}

/// `name:password:gid:member,member`
fn group_of_member(line: &str, name: &str) -> Option<u32> {
    let mut fields = line.split(':');
    let gid = fields.nth(2)?.parse().ok()?;
    fields.next()?.split(',').any(|member| member.trim() == name).then_some(gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\n# note\nshop:x:1001:1002::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\nshop:x:1002:\nlog:x:7:adm,shop\nweb:x:9:shopper\n";

    #[test]
    fn by_name_and_by_number_with_groups() {
        let shop = Account { uid: 1001, gid: 1002, groups: vec![7, 1002] };
        assert_eq!(find("shop", PASSWD, GROUP), Some(shop));
        assert_eq!(find("1001", PASSWD, GROUP).map(|a| a.gid), Some(1002));
    }

    #[test]
    fn unknown_is_none() {
        assert_eq!(find("nobody", PASSWD, GROUP), None);
        assert_eq!(find("", PASSWD, GROUP), None);
    }
}
