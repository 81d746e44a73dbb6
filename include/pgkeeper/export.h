/* pgkeeper/export.h - marks what the shared library exports; all else is hidden. */
#ifndef PGKEEPER_EXPORT_H
#define PGKEEPER_EXPORT_H

#if defined(__GNUC__)
#define PGK_API __attribute__((visibility("default")))
#else
#define PGK_API
#endif

#endif
