"""Print the append-only log of every payment: what was attempted, claimed, proved and done."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django_tenant_billing.models import PaymentEvent


class Command(BaseCommand):
    help = "Print the payment log, oldest line first."

    def handle(self, **options: Any) -> None:
        for event in PaymentEvent.objects.all():
            at = timezone.localtime(event.at).strftime("%H:%M:%S")
            step = f"{event.from_status} -> {event.to_status}" if event.from_status else event.to_status
            words = (event.kind, step, event.detail, f"by {event.actor}" if event.actor else "")
            self.stdout.write(f"{at}  {event.reference or '(none)':20}  " + "  ".join(word for word in words if word))
