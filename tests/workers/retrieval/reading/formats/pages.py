"""An HTML page."""

from __future__ import annotations

PAGE = """<!DOCTYPE html>
<html><head><title>The &lt;Guide&gt;</title><style>p { color: red }</style><script>alert("<p>no</p>")</script></head>
<body><nav><a href="/">Home</a></nav>
<h1>Install</h1>
<p>It takes   one
minute.<br>Then&nbsp;restart.</p>
<ul><li>First <b>this</b></li><li>then that</li></ul>
<h2>On Linux</h2>
<pre>apt install it
    --now</pre>
<table><tr><th>Name</th><th>Size</th></tr><tr><td>a</td><td>1 MB</td></tr></table>
<p>Unclosed <p>paragraphs &amp; entities
</body></html>"""
