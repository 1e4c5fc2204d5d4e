"""Defects in how a gateway is asked, and in how what it says is read and judged."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, one

KHALTI, ESEWA, HTTP, VERDICTS = "gateways/khalti.py", "gateways/esewa.py", "gateways/http.py", "verdicts.py"
KHALTI_TESTS, ESEWA_TESTS, HTTP_TESTS = "test_gateways_khalti.py", "test_gateways_esewa.py", "test_gateways_http.py"
LOOKED_UP = "outcome = OUTCOMES.get(status) if isinstance(status, str) else None"
KHALTI_OK = "if outcome is None or answer.http_status not in (200, 400):"
ESEWA_OK = "if outcome is None or answer.http_status != 200:"
AMOUNT = "if proof.amount_minor != payment.amount_minor:"
REFERENCE = "if proof.gateway_reference != (payment.gateway_reference or payment.reference):"
SUBSTRING = "outcome = next((OUTCOMES[word] for word in OUTCOMES if isinstance(status, str) and word in status), None)"
ANY_CASE = (
    "outcome = {word.lower(): said for word, said in OUTCOMES.items()}.get(status.lower())"
    " if isinstance(status, str) else None"
)
STRIPPED = "outcome = OUTCOMES.get(status.strip()) if isinstance(status, str) else None"
TAKEN_FROM_PAYLOAD = "if not CALLBACK_SIGNED <= set(names) <= set(data) or len(set(names)) != len(names):"
COMPARED = 'if not hmac.compare_digest(self._sign(names, data).encode(), data.get("signature", "").encode()):'

STATUSES: list[Mutant] = [
    one("Khalti: 5xx is an answer", KHALTI, KHALTI_OK, "if outcome is None:", KHALTI_TESTS),
    one("Khalti: Completed is believed at 400", KHALTI, "if answer.http_status == 400 and outcome not in (",
        "if answer.http_status == 400 and outcome is Outcome.PENDING and outcome not in (", KHALTI_TESTS),
    one("eSewa: 5xx is an answer", ESEWA, ESEWA_OK, "if outcome is None:", ESEWA_TESTS),
    one("Khalti: a status is found inside the text", KHALTI, LOOKED_UP, SUBSTRING, KHALTI_TESTS),
    one("eSewa: a status is found inside the text", ESEWA, LOOKED_UP, SUBSTRING, ESEWA_TESTS),
    one("Khalti: a status in any case", KHALTI, LOOKED_UP, ANY_CASE, KHALTI_TESTS),
    one("eSewa: a status in any case", ESEWA, LOOKED_UP, ANY_CASE, ESEWA_TESTS),
    one("Khalti: a status with blanks around it", KHALTI, LOOKED_UP, STRIPPED, KHALTI_TESTS),
    one("eSewa: a status with blanks around it", ESEWA, LOOKED_UP, STRIPPED, ESEWA_TESTS),
]  # fmt: skip

FACTS: list[Mutant] = [
    one("amount not compared", VERDICTS, AMOUNT, "if proof.amount_minor == -1:", "test_payments.py", "test_esewa.py"),
    one("amount not compared where it is missing", VERDICTS, AMOUNT,
        f"if proof.amount_minor is not None and {AMOUNT[3:]}", "test_payments.py", "test_esewa.py"),
    one("more than the amount is enough", VERDICTS, AMOUNT,
        "if proof.amount_minor is None or proof.amount_minor < payment.amount_minor:",
        "test_payments.py", "test_esewa.py"),
    one("Khalti: rupees where paisa are meant", KHALTI, "amount_minor=amount if type(amount) is int and",
        "amount_minor=amount * 100 if type(amount) is int and", KHALTI_TESTS),
    one("eSewa: an amount grouped anyhow", ESEWA, r"(\d{1,13}|\d{1,3}(?:,\d{3}){1,4})", r"([\d,]{1,16})", ESEWA_TESTS),
    one("currency not asked about", "payments/starting.py", "if sold.currency not in gateway.currencies:",
        "if not gateway.currencies:", "test_payments.py"),
    one("reference not bound", VERDICTS, REFERENCE, 'if proof.gateway_reference == "":',
        "test_payments.py", "test_esewa.py"),
    one("reference not bound where it is missing", VERDICTS, REFERENCE,
        f"if proof.gateway_reference is not None and {REFERENCE[3:]}", "test_payments.py", "test_esewa.py"),
    one("reference of a refund not bound", VERDICTS,
        "if proof.gateway_reference == (payment.gateway_reference or payment.reference):",
        'if proof.gateway_reference != "":', "test_refunding.py"),
    one("a wallet's transaction pays twice", VERDICTS,
        "if proof.gateway_transaction_id and others.filter(gateway_transaction_id=proof.gateway_transaction_id).exists"
        "():",
        "if proof.gateway_transaction_id and others.filter(gateway_transaction_id='').exists():",
        "test_payments.py", "test_esewa.py"),
    one("eSewa: the merchant of the answer is any", ESEWA, 'if body.get("product_code") != self.merchant_code:',
        'if body.get("product_code") == "":', ESEWA_TESTS),
    one("eSewa: the merchant of the data is any", ESEWA, 'if data["product_code"] != self.merchant_code:',
        'if data["product_code"] == "":', ESEWA_TESTS),
    one("eSewa: what is signed is for the data to say", ESEWA, TAKEN_FROM_PAYLOAD, "if not set(names) <= set(data):",
        ESEWA_TESTS),
    one("eSewa: signature not compared", ESEWA, COMPARED, 'if not data.get("signature"):', ESEWA_TESTS),
    one("eSewa: signature compared by ==", ESEWA, COMPARED,
        'if self._sign(names, data) != data.get("signature", ""):', ESEWA_TESTS),
]  # fmt: skip

CALLS: list[Mutant] = [
    Mutant("redirects are followed", (
        (HTTP, "allow_redirects=False,", "allow_redirects=True,"),
        (HTTP, "return None\n\n\nclass _QuietResponse",
         "return super().get_redirect_target(resp)\n\n\nclass _QuietResponse"),
    ), (HTTP_TESTS,)),
    one("a deadline ten times too late", HTTP, "threading.Timer(seconds, ", "threading.Timer(seconds * 10, ",
        HTTP_TESTS),
    one("an answer after the deadline counts", HTTP, "if timed_out or time.monotonic() >= ends:", "if timed_out:",
        HTTP_TESTS),
    one("answers of any size", HTTP, "if len(raw) > MAX_BYTES:", "if len(raw) > 1 << 40:", HTTP_TESTS),
    one("names twice in an answer", HTTP, "if len(found) != len(pairs):", "if len(found) > len(pairs):", HTTP_TESTS),
    one("a connection that fails is tried again", HTTP, "max_retries=0", "max_retries=2", HTTP_TESTS),
    one("proxies of the environment", HTTP, "session.trust_env = False", "session.trust_env = True", HTTP_TESTS),
    one("starting is tried again", "payments/starting.py",
        "checkout = asked.start_checkout(order_of(payment, base_url))",
        "try:\n            checkout = asked.start_checkout(order_of(payment, base_url))\n"
        "        except GatewayUnavailable:\n"
        "            checkout = asked.start_checkout(order_of(payment, base_url))", "test_payments.py"),
    one("a refund is tried again", "payments/refunding.py", "    except GatewayUnavailable:\n",
        "    except GatewayUnavailable:\n        gateway.refund(order_of(payment), amount_minor)\n",
        "test_refunding.py"),
    one("Khalti: a link to anywhere", KHALTI, "        self._trust_payment_url(url)\n", "", KHALTI_TESTS),
    one("eSewa: the sandbox's merchant in live mode", ESEWA, 'elif conf.mode == "live" and (',
        'elif not conf.mode and (', ESEWA_TESTS),
]  # fmt: skip

PROOFS = [*STATUSES, *FACTS, *CALLS]
