"""Small chat templates in the style of each family of models that can call tools, written for the tests."""

from __future__ import annotations

from agentgw_daemon.workers.model.template.tool_format import TemplateMessage

HERMES = """
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content + '\n' }}{% endif %}<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
Call inside <tool_call></tool_call>.<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% elif message.role != 'system' %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

LLAMA = """
{{- bos_token }}
{%- for message in messages %}
{%- if 'tool_calls' in message %}
{%- if message.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif %}
{%- set call = message.tool_calls[0].function %}<|start|>assistant<|stop|>
{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}<|eot|>
{%- elif message.role == 'tool' %}<|start|>ipython<|stop|>
{{ message.content | tojson }}<|eot|>
{%- else %}<|start|>{{ message.role }}<|stop|>
{%- if loop.first and tools %}Respond with {"name": function name, "parameters": {}}.
{% for tool in tools %}{{ tool | tojson(indent=4) }}{% endfor %}{% endif %}
{{ message.content }}<|eot|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant<|stop|>{% endif %}"""
MISTRAL = """
{{- bos_token }}{% if tools %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}
{%- for message in messages %}
{%- if message.role == 'user' %}[INST] {{ message.content }}[/INST]
{%- elif message.role == 'tool' %}[TOOL_RESULTS] {"content": {{ message.content | string }}, "call_id": "
{%- if message.tool_call_id | length != 9 %}{{ raise_exception('ids have nine characters') }}{% endif %}
{{- message.tool_call_id }}"}[/TOOL_RESULTS]
{%- elif message.tool_calls %}[TOOL_CALLS] [
{%- for call in message.tool_calls %}{{ call.function | tojson }}{{ ', ' if not loop.last }}{% endfor %}]</s>
{%- else %} {{ message.content }}</s>
{%- endif %}
{%- endfor %}"""

DEEPSEEK = """
{%- for message in messages %}
{%- if message.role == 'user' %}<User>{{ message.content }}{% endif %}
{%- if message.role == 'assistant' and message.content is none %}
{%- for call in message.tool_calls %}<call>{{ call.function.name + '\n' + call.function.arguments }}</call>{% endfor %}
{%- elif message.role == 'assistant' %}<Assistant>{{ message.content }}{% endif %}
{%- if message.role == 'tool' %}<output>{{ message.content }}</output>{% endif %}
{%- endfor %}
{%- for tool in tools or [] %}{{ tool.function.name + ': ' + tool.function.description }}{% endfor %}
{%- if add_generation_prompt %}<Assistant><think>
{% endif %}"""

TAGGED = """
{%- for tool in tools or [] -%}
<function><name>{{ tool.function.name }}</name>{{ tool.function.description }}</function>{% endfor %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}<tool_call><function={{ call.function.name }}>
{%- for key, value in call.function.arguments | items %}<parameter={{ key }}>
{{ value if value is string else value | tojson }}
</parameter>{% endfor %}</function></tool_call>{% endfor %}<|im_end|>
{% endfor %}"""

# Takes tools and forgets what came of them.
FORGETFUL = """
{%- for tool in tools or [] %}{{ tool | tojson }}{% endfor %}
{%- for message in messages if message.role in ('user', 'assistant', 'system') %}{{ message.content }}{% endfor %}"""

# Writes an object as Python does, which no model was trained on.
CARELESS = """
{%- for tool in tools or [] %}{{ tool | tojson }}{% endfor %}
{%- for message in messages %}{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ call }}{% endfor %}{% endfor %}"""

USER: TemplateMessage = {"role": "user", "content": "Hi"}
