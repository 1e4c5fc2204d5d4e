"""The address that shows one payment to whoever has it."""

from django_tenant_billing.tokens import result_path, result_token, token_fits


def test_a_token_fits_its_own_reference_alone() -> None:
    token = result_token("TB-ONE")
    assert len(token) == 64
    assert token_fits("TB-ONE", token)
    assert not token_fits("TB-TWO", token)
    assert not token_fits("TB-ONE", token[:-1])
    assert result_path("TB-ONE") == f"/billing/payments/TB-ONE/{token}/"
