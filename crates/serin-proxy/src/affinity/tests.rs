use super::*;

fn affinity(key: AffinityKey, salt: &str) -> Affinity {
    Affinity::new(&wire::Affinity { key, salt: salt.into(), window_s: 60 }).unwrap()
}

fn by_cookie(salt: &str) -> Affinity {
    affinity(AffinityKey::Cookie("user".into()), salt)
}

fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &[u8])| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
    };
    lines.iter().map(pair).collect()
}

fn cookies(lines: &[&[u8]]) -> HeaderMap {
    headers(&lines.iter().map(|line| ("cookie", *line)).collect::<Vec<_>>())
}

/// Chi-square of `hits` against equal shares.
fn chi_square(hits: &[u64]) -> f64 {
    let wanted = hits.iter().sum::<u64>() as f64 / hits.len() as f64;
    hits.iter().map(|hits| (*hits as f64 - wanted).powi(2) / wanted).sum()
}

/// Bound on a chi-square: six standard deviations above its mean.
fn bound(cells: usize) -> f64 {
    let degrees = cells as f64 - 1.0;
    degrees + 6.0 * (2.0 * degrees).sqrt()
}

#[test]
fn the_cookie_is_found_wherever_it_stands() {
    let of = |lines: &[&[u8]]| {
        by_cookie("s").identify(&cookies(lines), &[0; 16], &mut Rng::with_seed(1))
    };
    let (known, none) = of(&[b"user=anna"]);
    assert_eq!(none, None);
    for lines in [
        &[b"a=b; user=anna; c=d".as_slice()][..],
        &[b"a=b", b"user = anna ;c=d"],
        &[b";;; user=anna"],
        &[b"user=; user=anna"],
        &[b"user=anna; user=otto"],
        &[b"users=otto; user", b"auser=otto;user=anna"],
        &[b"\xff\xfe=\xff; user=anna"],
    ] {
        assert_eq!(of(lines), (known, None), "{lines:?}");
    }
    for lines in [&[b"user=otto".as_slice()][..], &[b"user=\"anna\""], &[b"user=anna\xff"]] {
        let (user, cookie) = of(lines);
        assert_eq!((user == known, cookie), (false, None), "{lines:?}");
    }
    for lines in [&[][..], &[b"".as_slice()], &[b"user"], &[b"user="], &[b"User=anna"], &[b"=;=;"]]
    {
        assert!(of(lines).1.is_some(), "{lines:?}");
    }
}

#[test]
fn a_newcomer_is_known_by_the_cookie_it_gets() {
    let (affinity, mut rng) = (by_cookie("s"), Rng::with_seed(1));
    let (user, cookie) = affinity.identify(&HeaderMap::new(), &[0; 16], &mut rng);
    let cookie = cookie.unwrap();
    let text = cookie.to_str().unwrap();
    let (pair, rest) = text.split_once(';').unwrap();
    assert_eq!(rest, " Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert_eq!(pair.len(), "user=".len() + 32);
    assert_eq!(affinity.identify(&cookies(&[pair.as_bytes()]), &[0; 16], &mut rng), (user, None));
    let (other, _) = affinity.identify(&HeaderMap::new(), &[0; 16], &mut rng);
    assert_ne!(other, user);
    let mut answer = HeaderMap::new();
    affinity.give(cookie.clone(), &mut answer);
    assert_eq!(answer.get_all("set-cookie").iter().collect::<Vec<_>>(), [&cookie]);
}

#[test]
fn the_apps_own_cookie_of_that_name_is_left_alone() {
    let affinity = by_cookie("s");
    let cookie = HeaderValue::from_static("user=ours");
    for (own, wanted) in [("user=theirs; Path=/", 1), ("users=theirs", 2), ("other=user=1", 2)] {
        let mut answer = headers(&[("set-cookie", own.as_bytes())]);
        affinity.give(cookie.clone(), &mut answer);
        assert_eq!(answer.get_all("set-cookie").iter().count(), wanted, "{own}");
    }
}

#[test]
fn a_header_names_the_user_or_the_request_is_its_own() {
    let affinity = affinity(AffinityKey::Header("X-User".into()), "s");
    let mut rng = Rng::with_seed(1);
    let mut of =
        |value: &[u8]| affinity.identify(&headers(&[("x-user", value)]), &[0; 16], &mut rng);
    assert_eq!(of(b"anna"), of(b" anna "));
    assert_ne!(of(b"anna"), of(b"otto"));
    assert_eq!(of(b"\xff\x80"), of(b"\xff\x80"));
    assert_eq!(of(b"anna").1, None);
    assert_ne!(of(b""), of(b""));
    let none = HeaderMap::new();
    assert_ne!(
        affinity.identify(&none, &[0; 16], &mut rng),
        affinity.identify(&none, &[0; 16], &mut rng)
    );
}

#[test]
fn of_a_long_value_the_first_4_kib_count() {
    let of = |value: &str| {
        let line = format!("user={value}");
        by_cookie("s").identify(&cookies(&[line.as_bytes()]), &[0; 16], &mut Rng::with_seed(1)).0
    };
    let long = "x".repeat(4096);
    assert_eq!(of(&long), of(&format!("{long}y")));
    assert_eq!(of(&long), of(&long.repeat(10)));
    assert_ne!(of(&long), of(&long[1..]));
}

#[test]
fn users_keep_their_place_for_ever() {
    let of = |salt: &str, name: &str| {
        let line = format!("user={name}");
        by_cookie(salt)
            .identify(&cookies(&[line.as_bytes()]), &[0; 16], &mut Rng::with_seed(1))
            .0
            .point()
    };
    let found = [of("", "anna"), of("1.7", "anna"), of("1.8", "anna"), of("1.7", "otto")];
    assert_eq!(found, [47_287, 8_873, 10_951, 7_045]);
}

/// Values as alike as they come, under many salts: points, parts and ranks are even, and the parts
/// are even among those of a small candidate too.
#[test]
fn points_are_even_and_what_must_not_depend_on_the_arm_does_not() {
    let (mut points, mut parts, mut few) = (vec![0_u64; 1_000], vec![0_u64; 16], vec![0_u64; 16]);
    let mut rng = Rng::with_seed(1);
    for salt in 0..20 {
        let affinity = by_cookie(&salt.to_string());
        for n in 0..50_000 {
            let line = format!("user={n}");
            let (user, _) = affinity.identify(&cookies(&[line.as_bytes()]), &[0; 16], &mut rng);
            points[user.point() as usize / 100] += 1;
            let part = (user.second() >> 8) as usize % 16;
            parts[part] += 1;
            few[part] += u64::from(user.point() < 5_000);
        }
    }
    for hits in [&points, &parts, &few] {
        assert!(chi_square(hits) < bound(hits.len()), "{}", chi_square(hits));
    }
    let dealt = few.iter().sum::<u64>() as f64;
    assert!((dealt - 50_000.0).abs() < 6.0 * (1e6_f64 * 0.05 * 0.95).sqrt(), "{dealt}");
}

#[test]
fn a_new_salt_deals_users_anew() {
    let (one, two) = (by_cookie("1"), by_cookie("2"));
    let mut rng = Rng::with_seed(1);
    let mut both = [0_u64; 4];
    for n in 0..100_000 {
        let headers = cookies(&[format!("user={n}").as_bytes()]);
        let mut half = |affinity: &Affinity| {
            usize::from(affinity.identify(&headers, &[0; 16], &mut rng).0.point() < 50_000)
        };
        both[2 * half(&one) + half(&two)] += 1;
    }
    assert!(chi_square(&both) < bound(4), "{both:?}");
}

#[test]
fn an_address_is_one_user_whatever_it_sends_and_of_ipv6_its_network() {
    let affinity = affinity(AffinityKey::Address, "s");
    let mut rng = Rng::with_seed(1);
    let mut of = |peer: &str, headers: &HeaderMap| {
        affinity.identify(headers, &network(peer.parse().unwrap()), &mut rng)
    };
    let (none, some) = (HeaderMap::new(), cookies(&[b"user=anna"]));
    let (user, cookie) = of("192.0.2.7", &none);
    assert_eq!(cookie, None);
    assert_eq!(of("192.0.2.7", &some).0, user);
    assert_eq!(of("::ffff:192.0.2.7", &none).0, user, "the same address, written for IPv6");
    assert_ne!(of("192.0.2.8", &none).0, user);
    let of = |peer: &str| network(peer.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
}
