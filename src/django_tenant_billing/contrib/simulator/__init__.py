"""Nepali wallets on your laptop: a stand-in gateway in its own process, for development, tests and the tour.

It shares no code with the adapters it serves, so that an error in one is not hidden by the same error in the other.

    python -m django_tenant_billing.contrib.simulator --port 8001

    __main__.py        the command line
    server.py          HTTP: routes, reading and answering
    control.py         what tests and tours ask: act as the payer, tamper with an answer, order a fault
    payer.py           the payer at the payment page
    pages.py           what the payer sees
    khalti.py          Khalti's protocol, without HTTP
    khalti_payment.py  one payment: states, acts, the way back to the merchant
    validation.py      what Khalti demands of a request
    wire.py            what crosses between HTTP and the protocols
"""
