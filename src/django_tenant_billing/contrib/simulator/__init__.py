"""Nepali wallets on your laptop: a stand-in gateway in its own process, for development, tests and the tour.

It shares no code with the adapters it serves, so that an error in one is not hidden by the same error in the other.

    python -m django_tenant_billing.contrib.simulator --port 8001

    __main__.py        the command line
    server.py          the server: which address answers what
    handling.py        HTTP: reading a request, writing its answer
    control.py         what tests and tours ask: act as the payer, tamper with an answer
    console.py         the same for people, as a page
    faults.py          what goes wrong: ordered, or drawn from a seed
    spoiling.py        what a fault makes of an answer
    returning.py       payers on their way back
    journal.py         the requests so far
    payer.py           the payer at Khalti's page
    pages.py           what the payer sees
    khalti.py          Khalti's protocol, without HTTP
    khalti_payment.py  one payment: states, acts, the way back to the merchant
    esewa.py           eSewa's protocol, without HTTP
    esewa_payment.py   one payment: states, acts, signatures, the way back to the merchant
    esewa_payer.py     the payer at eSewa's page, and what is seen there
    validation.py      what Khalti demands of a request
    wire.py            what crosses between HTTP and the protocols
"""
