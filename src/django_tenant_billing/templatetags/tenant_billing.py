"""``{% load tenant_billing %}``: quotas and money in the site's own templates.

The organization is that of the request. Where there is no request, nobody logged in or no organization, there is
nothing to show, and nothing is raised; a feature that nobody defined is a bug and raises UnknownFeature. All tags of a
request share one query, which runs when the first of them is rendered.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.base import FilterExpression, Node, NodeList, Parser, Token
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from ..decisions import Decision
from ..money import format_count, format_money
from ..shown import shown_on

register = template.Library()


@register.simple_tag(takes_context=True)
def quota(context: template.Context, feature: str) -> Decision | str:
    """``{% quota "invoices" %}`` says ``4 of 10``; with ``as q`` it is the Decision, true while one more is allowed."""
    decision = _decision(context, feature)
    # A decision that says no is false, and is something to show all the same.
    return "" if decision is None else decision


@register.simple_tag(takes_context=True)
def usage_bar(context: template.Context, feature: str) -> SafeString:
    """``{% usage_bar "invoices" %}``: label, meter, numbers and reset date, by ``tenant_billing/_usage_bar.html``."""
    decision = _decision(context, feature)
    if decision is None:
        return mark_safe("")
    with timezone.override(shown_on(_request(context)).zone):
        return render_to_string("tenant_billing/_usage_bar.html", {"decision": decision})


class IfFeatureNode(Node):
    """One of two parts of a template, by whether one more of a feature is allowed."""

    child_nodelists = ("allowed", "otherwise")

    def __init__(self, feature: FilterExpression, allowed: NodeList, otherwise: NodeList) -> None:
        self.feature, self.allowed, self.otherwise = feature, allowed, otherwise

    def render(self, context: template.Context) -> SafeString:
        decision = _decision(context, self.feature.resolve(context))
        return (self.otherwise if decision is None or not decision.allowed else self.allowed).render(context)


@register.tag
def if_feature(parser: Parser, token: Token) -> IfFeatureNode:
    """``{% if_feature "reports" %}...{% else %}...{% endif_feature %}``: does the plan in force allow one more?"""
    try:
        tag, feature = token.split_contents()
    except ValueError as error:
        raise template.TemplateSyntaxError(
            f'"{token.contents}" must name one feature: {{% if_feature "reports" %}}'
        ) from error
    expression = parser.compile_filter(feature)
    allowed = parser.parse(("else", f"end{tag}"))
    otherwise = NodeList()
    if parser.next_token().contents == "else":
        otherwise = parser.parse((f"end{tag}",))
        parser.delete_first_token()
    return IfFeatureNode(expression, allowed, otherwise)


@register.filter
def money(value: Any, currency: str | None = None) -> str:
    """``{{ payment|money }}``: its amount; ``{{ receipt.vat_minor|money:receipt.currency }}``: paisa of a currency."""
    if value is None or value == "":
        return ""
    if currency is None:
        return format_money(value.amount_minor, value.currency)
    return format_money(value, currency)


@register.filter
def grouped(number: int | str | None) -> str:
    """``{{ q.used|grouped }}``: a number of things as all our pages write it, ``1,00,000``."""
    return format_count(number) if isinstance(number, int) else ""


def _request(context: template.Context) -> Any:
    return getattr(context, "request", None) or context.get("request")


def _decision(context: template.Context, feature: str) -> Decision | None:
    request = _request(context)
    return None if request is None else shown_on(request).decision(feature)
