"""llama.cpp's server with its HTTP, in a process of its own: `python llama_server.py MODEL` prints its address.

Run by the environment that `tests/scripts/fetch_llama_server.py` makes. One slot; it ends with its standard input.
"""

from __future__ import annotations

import sys

import xllamacpp

# The starter's own template has no tools. A model of its size writes a call once it has seen some.
TEMPLATE = r"""
{%- if tools %}<|im_start|>system
You may call tools: {% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>
{% for zone in ['Paris', 'Oslo', 'Berlin', 'Madrid'] %}<|im_start|>user
What time is it in {{ zone }}?<|im_end|>
<|im_start|>assistant
<tool_call>
{"name": "current_time", "arguments": {"tz": "Europe/{{ zone }}"}}
</tool_call><|im_end|>
{% endfor %}{% endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|im_start|>user
The clock shows {{ message.content }}.<|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content if message.content else '' }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}
""".lstrip("\n").removesuffix("\n")


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = 2048
    params.n_parallel = 1
    # Threads spin while they wait for each other: on a busy machine two are slower than one.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.chat_template = TEMPLATE
    params.use_jinja = True
    params.endpoint_slots = True
    params.warmup = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
