//! The images that the page may show, told by their first bytes: names were chosen by agents. None of
//! them runs anything as an image; what SVG could do as a document, its answer's policy takes from it.

/// How much of a file tells what it is.
pub(super) const SNIFFED_BYTES: usize = 1024;

/// The kind of image that a file with this begin is.
pub(super) fn kind(begin: &[u8]) -> Option<&'static str> {
    match begin {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => is_svg(begin).then_some("image/svg+xml"),
    }
}

/// Whether a text's first element is `svg`; before it may be what XML allows there.
fn is_svg(begin: &[u8]) -> bool {
    let text = String::from_utf8_lossy(begin);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = match rest {
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!--") => "-->",
            _ if rest.starts_with("<!DOCTYPE") => ">",
            _ => break,
        };
        let Some((_, after)) = rest.split_once(end) else {
            return false;
        };
        rest = after.trim_start();
    }
    let name_ends = |c: char| c.is_whitespace() || c == '>' || c == '/';
    rest.strip_prefix("<svg")
        .is_some_and(|after| after.starts_with(name_ends))
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn images_are_told_by_their_begin_and_nothing_else_is_one() {
        let png = b"\x89PNG\r\n\x1a\n....";
        for (begin, expected) in [
            (&png[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"<svg/>", Some("image/svg+xml")),
            (
                b"\xef\xbb\xbf <?xml version='1.0'?><!-- <svg> --><!DOCTYPE svg>\n<svg xmlns='x'>",
                Some("image/svg+xml"),
            ),
            (b"<svgx>", None),
            (b"<!-- <svg> -->", None),
            (b"<?xml <svg>", None),
            (b"<html><svg></svg></html>", None),
            (b"<script>", None),
            (&png[..7], None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"", None),
        ] {
            assert_eq!(kind(begin), expected, "{}", begin.escape_ascii());
        }
    }
}
