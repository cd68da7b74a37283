"""The page behind a request link, for a browser that was pointed at it.

The same text for every id: it does not say whether there is a request. The key is in the fragment,
which a browser does not send; there is no script that could read it.
"""

from typing import Final

POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

PAGE: Final = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>A request for your data</title>
<main>
<h1>A request for your data</h1>
<p>Somebody sent you a link to a request. Only your own personal data store can open it: what lies
here is encrypted, and the key is the part of the link after the <code>#</code>, which this server
never sees.</p>
<p>Copy the whole link from the message that you received, and open it with your store:</p>
<pre>pds open 'the whole link'</pre>
<p>Keep the quotes. Nothing is shared before you have read who asks, for what and why, and have
agreed.</p>
</main>
</html>
"""
