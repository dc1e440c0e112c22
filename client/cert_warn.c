/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "cert_internal.h"

#define SUBJECT_SHOWN_MAX 80
#define WARNINGS_MAX 8 /* for one value: a bundle of authorities has many that are over */

/*
 * "Soon": fewer days than certbot, cert-manager and the monitoring plugins' check_http take for
 * critical, and less than the third of its life at which ACME clients renew, so that a certificate
 * made for a week is not warned of on its first day.
 */
#define SOON_DAYS 14
#define SOON_PART 3

struct warning {
	cert_say say;
	void *arg;
	unsigned int said;
};

__attribute__((format(printf, 2, 3))) static void warn(struct warning *w, const char *format, ...)
{
	char text[CERT_TEXT_MAX];
	va_list args;

	if (w->said++ >= WARNINGS_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	w->say(w->arg, text);
}

static void warn_of_time(struct warning *w, X509 *certificate, int64_t now_s)
{
	const ASN1_TIME *first = X509_get0_notBefore(certificate);
	const ASN1_TIME *last = X509_get0_notAfter(certificate);
	char subject[SUBJECT_SHOWN_MAX], text[CERT_TIME_TEXT_MAX];
	int64_t first_s = 0, last_s = 0, days = 0;

	cert_name_text(X509_get_subject_name(certificate), subject, sizeof(subject));
	if (!cert_time(first, &first_s) || !cert_time(last, &last_s)) {
		warn(w, "the certificate %s says no readable time of validity", subject);
		return;
	}
	days = cert_days(now_s, last_s);
	if (last_s <= now_s)
		warn(w, "the certificate %s expired on %s", subject, cert_time_text(last, text));
	else if (first_s > now_s)
		warn(w, "the certificate %s is not valid before %s", subject,
		     cert_time_text(first, text));
	else if (days < SOON_DAYS && last_s - now_s < (last_s - first_s) / SOON_PART)
		warn(w, "the certificate %s expires in %" PRId64 " days, on %s", subject, days,
		     cert_time_text(last, text));
}

void cert_file_warn(const struct cert_file *f, int64_t now_s, cert_say say, void *arg)
{
	struct warning w = { say, arg, 0 };
	char subject[SUBJECT_SHOWN_MAX];

	if (f->unread)
		warn(&w, "%zu PEM blocks in it cannot be read", f->unread);
	if (cert_file_chain(f) == CERT_CHAIN_OUT_OF_ORDER)
		warn(&w,
		     "its certificates are not in order: the server's own first, then each one's "
		     "issuer");
	if (f->state == CERT_KEY_ENCRYPTED)
		warn(&w, "its private key is encrypted: a program in a container has nobody to ask "
		         "for the passphrase; store it decrypted (openssl pkey), Coffer seals it");
	if (f->state == CERT_KEY_READ && cert_file_wants_key(f) && cert_file_fits(f, f) == 0)
		warn(&w, "the private key in it does not fit its certificate %s",
		     cert_name_text(X509_get_subject_name(f->certificate[0]), subject,
		                    sizeof(subject)));
	for (size_t i = 0; i < f->count; i++)
		warn_of_time(&w, f->certificate[i], now_s);
}
