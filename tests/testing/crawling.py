"""A local page with everything it names, fetched as a browser does."""

import re

import aiohttp

_NAMED = re.compile(r'(?:src|href)="([^"]+)"|from "([^"]+)"')


_SVG = 'xmlns="http://www.w3.org/2000/svg"'
"""A name, and no address that is fetched."""


async def crawl(session: aiohttp.ClientSession, base: str, path: str) -> dict[str, str]:
    """Return the texts of a page and of all it loads, by path; whatever comes from elsewhere fails."""
    asked, found = [path], dict[str, str]()
    while asked:
        path = asked.pop()
        async with session.get(base + path) as answer:
            found[path] = await answer.text()
        assert answer.status == 200, path
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert not re.search(r"@import|https?://|url\(", found[path].replace(_SVG, ""))
        named = (first or second for first, second in _NAMED.findall(found[path]))
        folder = path.rpartition("/")[0]
        paths = {name.replace("./", f"{folder}/", 1) if name.startswith("./") else name for name in named}
        asked += paths - found.keys()
    return found
